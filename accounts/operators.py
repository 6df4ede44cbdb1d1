"""The site for those who run mailhelper: they see what stands in clear, and change next to nothing.

Sealed values are never shown, searched or filtered by. Nothing is added, edited or deleted here.
"""

from collections.abc import Iterable
from functools import cached_property, wraps

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as N_

from accounts.field_names import FIELD_NAMES
from accounts.fields import BytesField

SECRET = {"password"}
COUNTED_AT_MOST = 10_000


class OperatorSite(admin.AdminSite):
    site_title = site_header = "mailhelper"
    index_title = gettext_lazy(N_("For operators"))
    enable_nav_sidebar = False

    @property
    def site_url(self):
        return reverse("overview")

    def has_permission(self, request):
        return request.user.is_active and request.user.is_staff

    def admin_view(self, view, cacheable=False):
        """To everybody who is signed in and no operator, there is nothing here."""
        for_operators = super().admin_view(view, cacheable)

        @wraps(view)
        def guarded(request, *args, **kwargs):
            if request.user.is_authenticated and not self.has_permission(request):
                raise Http404
            return for_operators(request, *args, **kwargs)

        return guarded

    def login(self, request, extra_context=None):
        """Everybody signs in on one page, which also opens the vault."""
        if request.user.is_authenticated:
            return redirect("admin:index")
        target = request.GET.get("next", reverse("admin:index"))
        return redirect(f"{reverse('sign_in')}?{urlencode({'next': target})}")

    def _elsewhere(self, request, *args, **kwargs):
        """Signing out forgets the vault's key, and a password changes only together with the vault."""
        raise Http404

    logout = password_change = password_change_done = _elsewhere

    def register(self, model_or_iterable, admin_class=None, **options):
        """Only what is made for operators: Django's own apps register their models unasked."""
        if admin_class and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)


class CappedPaginator(Paginator):
    """Does not count on and on: of millions of rows nobody turns to the last page."""

    @cached_property
    def count(self):
        return self.object_list.order_by()[:COUNTED_AT_MOST].count()


def one_of(field: str, values: Iterable[str]) -> type[admin.SimpleListFilter]:
    """A filter by known values: Django's own reads every row to see which there are."""

    class OneOf(admin.SimpleListFilter):
        title = gettext_lazy(FIELD_NAMES[field])
        parameter_name = field

        def lookups(self, request, model_admin):
            return [(str(value), str(value)) for value in values]

        def queryset(self, request, rows):
            return rows.filter(**{field: self.value()}) if self.value() else rows

    return OneOf


class ReadOnlyAdmin(admin.ModelAdmin):
    """`names` are those of one and of many. Rows are shown without their sealed fields."""

    names: tuple[str, str]
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def __init__(self, model, admin_site):
        super().__init__(model, admin_site)
        model._meta.verbose_name, model._meta.verbose_name_plural = map(gettext_lazy, self.names)
        for field in model._meta.fields:
            if field.name in FIELD_NAMES:
                field.verbose_name = gettext_lazy(FIELD_NAMES[field.name])

    @admin.display(description=gettext_lazy(N_("person")), ordering="account__user__email")
    def owner_of_account(self, row):
        return row.account.user

    def get_fields(self, request, obj=None):
        return [field.name for field in self.model._meta.fields if not is_sealed(field)]

    def get_readonly_fields(self, request, obj=None):
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup, value, request=None):
        """Nor may a sealed value be guessed piece by piece through the address of a list."""
        parts = set(lookup.split("__"))
        sealed = {field.name for field in self.model._meta.fields if is_sealed(field)}
        return not parts & sealed and super().lookup_allowed(lookup, value, request)

    def has_module_permission(self, request):
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request, obj=None):
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def done(self, request, rows, words: str):
        """Say what an action did, and keep who did it."""
        for row in rows:
            self.log_change(request, row, words)
        self.message_user(request, f"{words}: {len(rows)}")


def forget_log_of(rows: QuerySet) -> None:
    """What was done with these rows, which are about to go: the log names them."""
    of_this_kind = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(rows.model))
    going = {str(pk) for pk in rows.values_list("pk", flat=True)}
    entries = dict(of_this_kind.values_list("pk", "object_id"))
    of_this_kind.filter(pk__in=[pk for pk, object_id in entries.items() if object_id in going]).delete()


def is_sealed(field) -> bool:
    return isinstance(field, BytesField) or field.name in SECRET
