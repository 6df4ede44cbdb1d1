from django.db import models


class BytesField(models.BinaryField):
    """A BinaryField that is bytes on every database (PostgreSQL's driver gives a memoryview)."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else bytes(value)
