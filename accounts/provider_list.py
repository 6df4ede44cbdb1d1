"""The mail providers that people use: where their IMAP server is, and what they ask for first.

The names in PROVIDERS stand in rows of accounts, so they stay as they are.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as N_

from accounts.models import Security


@dataclass(frozen=True)
class Provider:
    """`domains` are those of addresses, `host_domains` further ones of servers; the login is the whole
    address unless `login_is_name`. One that is not `reachable` lets in no program like this one.
    """

    name: str
    title: str
    domains: tuple[str, ...]
    host: str
    needs: str
    help_url: str = ""
    host_domains: tuple[str, ...] = ()
    port: int = 993
    security: str = Security.TLS
    login_is_name: bool = False
    reachable: bool = True


_OWN_PASSWORD = N_("The mailbox's own password works.")
_OWN_PASSWORD_OR_APP = N_(
    "The mailbox's own password works. With two-factor sign-in make an app password for mailhelper in the "
    "provider's security settings, and enter that."
)
_SWITCH_ON = N_(
    "First allow IMAP in the web mail: E-Mail, Settings, POP3/IMAP. Then the mailbox's own password works; "
    "with two-factor sign-in make an application-specific password under My Account, Security."
)

PROVIDERS = (
    Provider(
        "gmail",
        "Gmail",
        ("gmail.com", "googlemail.com"),
        "imap.gmail.com",
        N_(
            "Google wants an app password, not your own: switch on two-step verification, then make one at "
            "myaccount.google.com/apppasswords, and enter its 16 letters."
        ),
        "https://support.google.com/accounts/answer/185833",
    ),
    Provider(
        "gmx",
        "GMX",
        ("gmx.net", "gmx.de", "gmx.at", "gmx.ch"),
        "imap.gmx.net",
        _SWITCH_ON,
        "https://hilfe.gmx.net/pop-imap/einschalten.html",
    ),
    Provider(
        "gmx",
        "GMX",
        ("gmx.com", "gmx.us", "gmx.co.uk", "gmx.fr", "gmx.es"),
        "imap.gmx.com",
        _SWITCH_ON,
        "https://support.gmx.com/pop-imap/toggle.html",
    ),
    Provider(
        "web.de",
        "WEB.DE",
        ("web.de",),
        "imap.web.de",
        _SWITCH_ON,
        "https://hilfe.web.de/pop-imap/einschalten.html",
    ),
    Provider(
        "outlook",
        "Outlook, Hotmail, Microsoft 365",
        (
            *("outlook.com", "outlook.de", "outlook.at", "outlook.fr", "outlook.it", "outlook.es"),
            *("hotmail.com", "hotmail.de", "hotmail.fr", "hotmail.it", "hotmail.es", "hotmail.co.uk"),
            *("live.com", "live.de", "live.fr", "live.it", "live.nl", "live.co.uk", "msn.com"),
        ),
        "outlook.office365.com",
        N_(
            "Microsoft lets in mail programs by OAuth2 only, not by password, and mailhelper does not speak "
            "OAuth2 yet. Until it does, this mailbox cannot be fetched."
        ),
        "https://support.microsoft.com/office/pop-imap-and-smtp-settings-for-outlook-com-d088b986-291d-42b8-9564-9c414e2aa040",
        host_domains=("office365.com",),
        reachable=False,
    ),
    Provider(
        "yahoo",
        "Yahoo",
        (
            *("yahoo.com", "yahoo.de", "yahoo.fr", "yahoo.it", "yahoo.es", "yahoo.co.uk", "yahoo.ca"),
            *("yahoo.com.br", "yahoo.co.in", "ymail.com", "rocketmail.com"),
        ),
        "imap.mail.yahoo.com",
        N_(
            "Yahoo wants an app password, not your own: Account Security, Generate app password; enter what "
            "it shows."
        ),
        "https://help.yahoo.com/kb/SLN15241.html",
    ),
    Provider(
        "aol",
        "AOL",
        ("aol.com", "aol.de", "aol.fr", "aol.co.uk", "aim.com"),
        "imap.aol.com",
        N_(
            "AOL wants an app password, not your own: Account Security, Generate app password; enter what "
            "it shows."
        ),
        "https://help.aol.com/articles/Create-and-manage-app-password",
    ),
    Provider(
        "icloud",
        "iCloud",
        ("icloud.com", "me.com", "mac.com"),
        "imap.mail.me.com",
        N_(
            "Apple wants an app-specific password, not your own: account.apple.com, Sign-In and Security, "
            "App-Specific Passwords. The login is the part of the address before the @."
        ),
        "https://support.apple.com/102654",
        login_is_name=True,
    ),
    Provider(
        "fastmail",
        "Fastmail",
        ("fastmail.com", "fastmail.fm", "fastmail.de", "messagingengine.com", "sent.com"),
        "imap.fastmail.com",
        N_(
            "Fastmail wants an app password, not your own: Settings, Privacy & Security, Manage app "
            "passwords and access. The Basic plan has no IMAP."
        ),
        "https://www.fastmail.help/hc/en-us/articles/360058752854",
    ),
    Provider(
        "posteo",
        "Posteo",
        ("posteo.de", "posteo.net", "posteo.org", "posteo.eu", "posteo.at", "posteo.ch"),
        "posteo.de",
        _OWN_PASSWORD,
        "https://posteo.de/en/help",
    ),
    Provider(
        "mailbox.org",
        "mailbox.org",
        ("mailbox.org",),
        "imap.mailbox.org",
        _OWN_PASSWORD_OR_APP,
        "https://kb.mailbox.org/en/private",
    ),
    Provider(
        "t-online",
        "T-Online",
        ("t-online.de", "magenta.de"),
        "secureimap.t-online.de",
        N_(
            "Telekom wants a password of its own for mail programs: E-Mail Center, Settings, Passwords, "
            "Password for e-mail programs. Enter that one."
        ),
        "https://www.telekom.de/hilfe",
    ),
    Provider(
        "freenet",
        "freenet",
        ("freenet.de",),
        "mx.freenet.de",
        _OWN_PASSWORD,
        "https://kundenservice.freenet.de",
    ),
    Provider(
        "ionos",
        "IONOS",
        ("online.de", "1und1.de", "ionos.de"),
        "imap.ionos.de",
        _OWN_PASSWORD,
        "https://www.ionos.de/hilfe/e-mail",
        host_domains=("1and1.com", "ionos.com", "ionos.co.uk", "ionos.fr"),
    ),
    Provider(
        "strato",
        "Strato",
        ("strato.de",),
        "imap.strato.de",
        _OWN_PASSWORD,
        "https://www.strato.de/faq/mail",
    ),
    Provider(
        "zoho",
        "Zoho",
        ("zoho.com", "zohomail.com"),
        "imap.zoho.com",
        N_(
            "First allow IMAP: Settings, Mail Accounts, IMAP Access. With two-factor sign-in make an "
            "application-specific password at accounts.zoho.com. Paying organisations use imappro.zoho.com."
        ),
        "https://www.zoho.com/mail/help/imap-access.html",
    ),
    Provider(
        "zoho",
        "Zoho",
        ("zoho.eu", "zohomail.eu"),
        "imap.zoho.eu",
        N_(
            "First allow IMAP: Settings, Mail Accounts, IMAP Access. With two-factor sign-in make an "
            "application-specific password at accounts.zoho.eu. Paying organisations use imappro.zoho.eu."
        ),
        "https://www.zoho.com/mail/help/imap-access.html",
    ),
    Provider(
        "yandex",
        "Yandex",
        ("yandex.com", "yandex.ru", "yandex.by", "yandex.kz", "ya.ru"),
        "imap.yandex.com",
        N_(
            "First allow IMAP in the web mail: All settings, Email clients. Then make an app password for "
            "mail at id.yandex.com, Security, and enter it."
        ),
        "https://yandex.com/support/mail/mail-clients/others.html",
        host_domains=("yandex.net",),
    ),
    Provider(
        "proton",
        "Proton Mail",
        ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
        "127.0.0.1",
        N_(
            "Proton has no IMAP server: its paid plans offer Proton Mail Bridge, which has to run on the "
            "machine that runs mailhelper, and MAILHELPER_ALLOW_PRIVATE_HOSTS has to be set there. Login and "
            "password are those that the Bridge shows; put its exported certificate under More."
        ),
        "https://proton.me/mail/bridge",
        port=1143,
        security=Security.STARTTLS,
    ),
    Provider(
        "tuta",
        "Tuta",
        ("tuta.com", "tutanota.com", "tutanota.de", "tutamail.com", "tuta.io", "keemail.me"),
        "",
        N_(
            "Tuta has no IMAP, and nothing that takes its place, so this mailbox cannot be fetched by any "
            "program but Tuta's own."
        ),
        "https://tuta.com/support",
        reachable=False,
    ),
    Provider(
        "migadu",
        "Migadu",
        ("migadu.com",),
        "imap.migadu.com",
        _OWN_PASSWORD,
        "https://www.migadu.com/guides/",
    ),
    Provider(
        "infomaniak",
        "Infomaniak",
        ("ik.me", "ikmail.com", "etik.com", "infomaniak.com"),
        "mail.infomaniak.com",
        N_(
            "Infomaniak wants a password made for this device: in the mail settings, under the address, "
            "Devices; enter what it shows."
        ),
        "https://www.infomaniak.com/en/support/faq",
        host_domains=("infomaniak.ch",),
    ),
    Provider(
        "ovh",
        "OVHcloud",
        ("ovh.net", "ovh.com"),
        "ssl0.ovh.net",
        _OWN_PASSWORD,
        "https://help.ovhcloud.com",
    ),
    Provider(
        "orange",
        "Orange",
        ("orange.fr", "wanadoo.fr"),
        "imap.orange.fr",
        N_(
            "First allow mail programs in the web mail: Preferences, Mail programs (IMAP and POP). Then the "
            "mailbox's own password works."
        ),
        "https://assistance.orange.fr",
    ),
    Provider("free", "Free", ("free.fr",), "imap.free.fr", _OWN_PASSWORD, "https://assistance.free.fr"),
    Provider(
        "laposte",
        "La Poste",
        ("laposte.net",),
        "imap.laposte.net",
        N_("First allow IMAP in the web mail's settings. Then the mailbox's own password works."),
        "https://aide.laposte.net",
    ),
    Provider(
        "libero",
        "Libero",
        ("libero.it", "inwind.it", "iol.it", "blu.it", "giallo.it"),
        "imapmail.libero.it",
        _OWN_PASSWORD_OR_APP,
        "https://aiuto.libero.it",
    ),
    Provider(
        "seznam",
        "Seznam",
        ("seznam.cz", "email.cz", "post.cz", "spoluzaci.cz"),
        "imap.seznam.cz",
        N_(
            "First allow IMAP in the web mail: Settings, POP3, IMAP. Then the mailbox's own password works; "
            "with two-factor sign-in make a password for programs."
        ),
        "https://napoveda.seznam.cz/en/email/",
    ),
    Provider(
        "mail.ru",
        "Mail.ru",
        ("mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"),
        "imap.mail.ru",
        N_(
            "Mail.ru wants a password for external applications, not your own: Security, Passwords for "
            "external applications."
        ),
        "https://help.mail.ru/mail/mailer/password",
    ),
    Provider(
        "bluewin",
        "Bluewin",
        ("bluewin.ch",),
        "imaps.bluewin.ch",
        _OWN_PASSWORD,
        "https://www.swisscom.ch/help",
    ),
)
