from accounts import rotation
from accounts.management.doors import Door


class Command(Door):
    help = (
        "Replace the workers' key and destroy the old one, so that grants in old backups open nothing. "
        "Running grants move to the new key. Restart the workers afterwards. "
        "Example: manage.py rotate_worker_key"
    )

    def handle(self, **options):
        moved = rotation.rotate_worker_key()
        self.stdout.write(f"The worker key is new. Grants that moved to it: {moved}; any other has ended.")
