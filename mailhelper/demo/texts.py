"""What the people of the demo wrote. All of them are invented; their domains are reserved ones.

<<20>> stands for the day 20 days before now, <<-5>> for one still to come; mails.py writes them out:
<<20>> "Freitag, 14. März", <<20 en>> "Friday, 14 March", <<20 .>> "14.03.2026", <<20 month>> "März 2026".
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Pdf:
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    name: str
    seed: int
    width: int = 240
    height: int = 160


@dataclass(frozen=True)
class Invitation:
    name: str
    summary: str
    days_ago: int
    hour: int
    place: str


@dataclass(frozen=True)
class Table:
    name: str
    rows: str


Attachment = Pdf | Picture | Invitation | Table


@dataclass(frozen=True)
class Letter:
    """`flags`: S seen, A answered, F flagged, D draft. style: plain, html, html_only, newsletter, inline."""

    key: str
    days_ago: int
    clock: str
    sender: str
    to: str
    subject: str
    text: str
    reply: str = ""
    flags: str = "S"
    style: str = "plain"
    files: tuple[Attachment, ...] = ()
    cc: str = ""
    charset: str = "utf-8"
    cte: str = "quoted-printable"


@dataclass(frozen=True)
class LetterBox:
    name: str
    login: str
    folders: tuple[tuple[str, tuple[Letter, ...]], ...]


KATRIN = "Katrin Weber <katrin.weber@beispiel.example>"
KATRIN_EN = "Katrin Weber <katrin.weber@example.com>"
HILDE = "Hilde Weber <hilde.weber@beispiel.example>"
JONAS = "Jonas Weber <jonas.weber@beispiel.example>"
MIRA = "Mira Öztürk <mira.oeztuerk@example.org>"
TOM = "Tom Hadley <tom.hadley@example.com>"
PRIYA = "Priya Nair <priya.nair@example.org>"
GRACE = "Grace Okafor <grace@okafor-ceramics.example.com>"
VERMIETER = "Hausverwaltung Lüdtke <post@luedtke.beispiel.example>"
STROM = "Stadtwerke Lindenau <rechnung@stadtwerke.beispiel.example>"
BUCHLADEN = "Buchhandlung Seitenweise <laden@seitenweise.beispiel.example>"
TEE = "Teekontor Möwe <bestellung@teekontor.beispiel.example>"
PAKET = "Flinkpost <zustellung@flinkpost.beispiel.example>"
KISTE = "Cloudkiste <no-reply@cloudkiste.example.com>"
BAHN = "Nordlicht Reisen <buchung@nordlicht.beispiel.example>"
PENSION = "Pension Seeblick <hallo@seeblick.beispiel.example>"
KRUMEN = "Krumen & Kruste <post@krumen.beispiel.example>"
COURIER = "The Slow Courier <letters@slowcourier.example.org>"
ZAHNARZT = "Praxis Dr. Albers <termine@praxis-albers.beispiel.example>"
VORSTAND = "Fahrradwerkstatt Lindenau e. V. <vorstand@verein.example>"
UWE = "Uwe Brandt <kasse@verein.example>"
SABINE = "Sabine Krüger <sabine.krueger@verein.example>"
FELIX = "Felix Noack <felix.noack@example.org>"
RATHAUS = "Ordnungsamt Lindenau <ordnungsamt@rathaus.beispiel.example>"

GMX_INBOX = (
    Letter(
        "oma-kuchen",
        3,
        "08:12",
        HILDE,
        KATRIN,
        "Der Kuchen und das Internet",
        """\
Liebe Katrin,

das Internet geht wieder. Der junge Mann hat den Stecker hineingesteckt,
es war der Stecker vom Bügeleisen, ich sage dazu nichts.

Du wolltest das Rezept vom Zwetschgenkuchen. Also: 500 g Mehl, ein Würfel
Hefe, 80 g Zucker, 80 g Butter, ein Ei, lauwarme Milch nach Gefühl. Das
Gefühl kann ich dir nicht schicken, das musst du dir selber holen, am
besten <<-6>> bei mir in der Küche.

Bring den Jonas mit, er isst ja sonst nur aus Schachteln.

Deine Oma
""",
        flags="SA",
    ),
    Letter(
        "jonas-umzug",
        5,
        "22:47",
        JONAS,
        KATRIN,
        "Umzug: Wer trägt das Klavier?",
        """\
Hi Schwester,

am <<-12>> ziehe ich um, dritter Stock ohne Aufzug, wie du weißt. Bisher haben
zugesagt: Mira (Arme wie ein Kran), zwei Leute aus der Werkstatt, und Papa, der
aber "koordinieren" will.

Bleibt das Klavier. Plan A: wir tragen es. Plan B: ich verkaufe es. Plan C: du
lernst endlich spielen und es kommt zu dir.

Im Anhang die Kistenliste. Ja, es gibt eine Kiste "Kabel, ungeklärt".

Jonas
""",
        flags="SF",
        files=(
            Table(
                "kisten.csv",
                """\
Nr;Inhalt;Zimmer;schwer
1;Bücher A-K;Wohnzimmer;ja
2;Bücher L-Z;Wohnzimmer;ja
3;Kabel, ungeklärt;Keller;nein
4;Töpfe;Küche;ja
5;Pflanze (lebt);Fensterbank;nein
6;Pflanze (unklar);Fensterbank;nein
""",
            ),
        ),
    ),
    Letter(
        "mira-see",
        9,
        "19:03",
        MIRA,
        KATRIN,
        "Fotos vom See 🏊",
        """\
Huhu,

hier die zwei besten. Auf dem zweiten sieht man genau den Moment, in dem
dir klar wird, wie kalt das Wasser ist.

Wiederholen wir das? Vielleicht diesmal vor Oktober.

Kuss, Mira
""",
        flags="SA",
        files=(Picture("see-morgens.png", 3, 480, 320), Picture("sprung.png", 8, 360, 240)),
    ),
    Letter(
        "hausverwaltung",
        1,
        "09:30",
        VERMIETER,
        KATRIN,
        "Ablesung der Heizkostenverteiler",
        """\
Sehr geehrte Frau Weber,

am <<-8>> zwischen 8 und 12 Uhr lesen wir in der Eichenstraße 14 die
Heizkostenverteiler ab. Bitte sorgen Sie für freien Zugang zu allen
Heizkörpern, auch zu dem im Bad hinter der Waschmaschine.

Wer verhindert ist, hinterlegt den Schlüssel bei Familie Petrov (EG links).

Mit freundlichen Grüßen
Hausverwaltung Lüdtke
""",
        flags="",
        charset="iso-8859-1",
    ),
    Letter(
        "paket",
        1,
        "07:02",
        PAKET,
        KATRIN,
        "Ihr Paket ist heute unterwegs zu Ihnen",
        """\
# Ihr Paket ist fast da

Sendung FP-4471-0098 vom Absender Teekontor Möwe kommt heute
zwischen 10:00 und 13:00 Uhr.

* Ablageort: Fahrradschuppen
* Bitte unterschreiben Sie leserlich, die Kollegen geben sich auch Mühe.

Sendung verfolgen: https://flinkpost.beispiel.example/FP-4471-0098
""",
        flags="",
        style="html",
    ),
    Letter(
        "passwort",
        2,
        "17:41",
        KISTE,
        KATRIN,
        "Passwort zurücksetzen",
        """\
# Passwort zurücksetzen

Hallo Katrin,

jemand - hoffentlich Sie - möchte das Passwort Ihres Cloudkiste-Kontos
ändern. Der Link gilt 30 Minuten:

https://cloudkiste.example.com/reset/kein-echter-schluessel

Waren Sie das nicht, tun Sie einfach nichts. Das alte Passwort gilt weiter.
""",
        flags="S",
        style="html",
        cte="base64",
    ),
    Letter(
        "zahnarzt",
        14,
        "10:00",
        ZAHNARZT,
        KATRIN,
        "Erinnerung: Ihr Termin am <<-4 .>>",
        """\
Guten Tag Frau Weber,

wir erinnern Sie an Ihren Termin am <<-4>> um 8:20 Uhr (Kontrolle und
Zahnreinigung). Absagen bitte spätestens einen Tag vorher.

Den Termin zum Übernehmen in Ihren Kalender finden Sie im Anhang.

Ihre Praxis Dr. Albers
""",
        flags="SF",
        files=(Invitation("termin.ics", "Zahnarzt, Kontrolle", -4, 8, "Marktplatz 3, Lindenau"),),
    ),
    Letter(
        "buch-da",
        6,
        "12:15",
        BUCHLADEN,
        KATRIN,
        "Ihr Buch liegt bereit",
        """\
Liebe Frau Weber,

"Die Vermessung der Schrebergärten" ist eingetroffen und liegt unter W im
Abholregal. Es ist dicker, als wir dachten. Bringen Sie eine Tasche mit.

Viele Grüße
Ihre Buchhandlung Seitenweise

PS: Samstag liest Frau Donner ab elf aus ihrem neuen Krimi. Es gibt Kekse.
""",
        flags="S",
        cte="8bit",
    ),
    Letter(
        "krumen-nl",
        4,
        "06:00",
        KRUMEN,
        KATRIN,
        "Brotpost: Roggen, Ruhe und ein Rückschlag",
        """\
# Brotpost im <<4 month>>

Guten Morgen! Der neue Ofen ist da. Er passt nicht durch die Tür. Bis das
geklärt ist, backen wir auf dem alten weiter, der heißt Gisela und zieht links.

# Diese Woche im Regal

* Roggenlaib mit 36 Stunden Ruhe
* Dinkelstange, endlich ohne Sesam
* Walnussbrot (nur Freitag, nur bis es weg ist)

# Backkurs

Am <<-18>> zeigen wir zwölf Leuten, wie man einen Sauerteig am Leben hält.
Wer seinen schon einmal verloren hat, ist besonders willkommen.

Anmelden: https://krumen.beispiel.example/kurs
""",
        flags="",
        style="newsletter",
    ),
    Letter(
        "mira-konzert",
        20,
        "21:19",
        MIRA,
        KATRIN,
        "Zwei Karten, eine zu viel",
        """\
Ich habe zwei Karten für das Orgelkonzert am <<-2>>, weil ich beim Bestellen
zweimal geklickt habe. Kommst du mit? Es ist laut, dunkel und man darf
sitzen - also alles, was du magst.

M.
""",
        flags="SA",
    ),
    Letter(
        "mira-konzert-3",
        18,
        "07:55",
        MIRA,
        KATRIN,
        "Re: Zwei Karten, eine zu viel",
        """\
Abgemacht. 18:30 vor der Kirche, ich bin die mit der Thermoskanne.

> Gern! Aber nur, wenn wir hinterher Pommes essen.

Pommes sind der einzige Grund, warum ich Orgelkonzerte besuche.
""",
        reply="mira-konzert-2",
    ),
    Letter(
        "papa-scan",
        27,
        "16:30",
        "Rolf Weber <rolf.weber@beispiel.example>",
        KATRIN,
        "Scan von dem alten Garantieschein, falls du ihn für die Waschmaschine noch brauchst, "
        "sonst bitte wegwerfen",
        """\
Hallo Katrin,

anbei der Schein. Ich habe ihn dreimal gescannt, einmal ist mein Daumen mit drauf.

Papa
""",
        files=(
            Pdf(
                "garantieschein.pdf",
                (
                    "Garantieschein",
                    "Waschmaschine Modell Wirbel 7",
                    "24 Monate ab Kauf",
                    "Händler: Elektro Sommer, Lindenau",
                ),
            ),
        ),
    ),
)

GMX_GESENDET = (
    Letter(
        "oma-antwort",
        2,
        "20:05",
        KATRIN,
        HILDE,
        "Re: Der Kuchen und das Internet",
        """\
Liebe Oma,

wir kommen <<-6>>, beide. Jonas bringt seine Schachteln nicht mit, das habe
ich ihm ausgeredet. Soll ich Hefe mitbringen, oder ist die vom Bügeleisen
auch aufgegangen?

Deine Katrin
""",
        reply="oma-kuchen",
    ),
    Letter(
        "mira-see-2",
        8,
        "12:40",
        KATRIN,
        MIRA,
        "Re: Fotos vom See 🏊",
        """\
Das zweite Bild verlässt bitte nie diese Unterhaltung.

Wiederholung ja, aber erst, wenn jemand das Wasser vorwärmt.

K.
""",
        reply="mira-see",
    ),
    Letter(
        "mira-konzert-2",
        19,
        "23:10",
        KATRIN,
        MIRA,
        "Re: Zwei Karten, eine zu viel",
        """\
Gern! Aber nur, wenn wir hinterher Pommes essen.
""",
        reply="mira-konzert",
        flags="SA",
    ),
    Letter(
        "kuendigung",
        45,
        "18:22",
        KATRIN,
        "Fitness Kraftwerk <service@kraftwerk.beispiel.example>",
        "Kündigung meiner Mitgliedschaft Nr. 20817",
        """\
Sehr geehrte Damen und Herren,

hiermit kündige ich meine Mitgliedschaft Nr. 20817 fristgerecht zum
nächstmöglichen Zeitpunkt. Bitte bestätigen Sie mir den Eingang und das Datum,
zu dem der Vertrag endet.

Ich war in diesem Jahr zweimal da. Es lag nicht an Ihnen.

Mit freundlichen Grüßen
Katrin Weber
""",
    ),
    Letter(
        "jonas-klavier",
        4,
        "07:31",
        KATRIN,
        JONAS,
        "Re: Umzug: Wer trägt das Klavier?",
        """\
Plan D: Es bleibt stehen und du ziehst drumherum.

Im Ernst: Uwe aus der Werkstatt hat einen Klavierroller und einen Rücken, der
das aushält. Ich frage ihn am <<-3>>.

Und was heißt hier "Pflanze (unklar)"?
""",
        reply="jonas-umzug",
    ),
)

GMX_ENTWUERFE = (
    Letter(
        "entwurf-brief",
        10,
        "23:58",
        KATRIN,
        VERMIETER,
        "Heizung im Bad (zum dritten Mal)",
        """\
Sehr geehrte Frau Lüdtke,

die Heizung im Bad klopft weiterhin, und zwar jeden Morgen um 5:40 Uhr und
im Takt eines langsamen Walzers. Ich

[hier freundlich bleiben!]
""",
        flags="SD",
    ),
)

GMX_RECHNUNGEN = (
    Letter(
        "strom-abschlag",
        33,
        "04:10",
        STROM,
        KATRIN,
        "Ihre Rechnung 2207-4410 vom <<33 .>>",
        """\
Guten Tag Katrin Weber,

Ihre Jahresrechnung liegt bei. Sie haben 1.412 kWh verbraucht und bekommen
38,70 € zurück, wir überweisen den Betrag bis zum <<19 .>>.

Der neue Abschlag beträgt 41,00 € im Monat.

Ihre Stadtwerke Lindenau
""",
        flags="SF",
        files=(
            Pdf(
                "Rechnung-2207-4410.pdf",
                (
                    "Stadtwerke Lindenau",
                    "Rechnung 2207-4410",
                    "Datum: <<33 .>>",
                    "Verbrauch: 1.412 kWh",
                    "Gesamtbetrag: 453,30 EUR",
                    "Bereits gezahlt: 492,00 EUR",
                    "Guthaben: 38,70 EUR",
                ),
            ),
        ),
    ),
    Letter(
        "tee-rechnung",
        12,
        "11:26",
        TEE,
        KATRIN,
        "Rechnung zu Ihrer Bestellung TK-881",
        """\
# Danke für Ihre Bestellung

Moin Katrin,

die Möwe ist gelandet. In Ihrem Paket:

* 250 g Ostfriesenmischung: 11,90 €
* 100 g Pfefferminze, gerebelt: 4,50 €
* 1 Dose Kluntje: 3,20 €

Summe 19,60 €, bezahlt per Lastschrift. Die Rechnung hängt an.
""",
        style="html",
        files=(
            Pdf(
                "Rechnung TK-881.pdf",
                (
                    "Teekontor Möwe",
                    "Rechnung TK-881",
                    "Ostfriesenmischung 250 g   11,90 EUR",
                    "Pfefferminze 100 g          4,50 EUR",
                    "Kluntje 1 Dose              3,20 EUR",
                    "Summe                      19,60 EUR",
                ),
            ),
        ),
    ),
    Letter(
        "werkstatt-rechnung",
        96,
        "15:02",
        "Elektro Sommer <info@elektro-sommer.beispiel.example>",
        KATRIN,
        "Rechnung Reparatur Waschmaschine",
        """\
Hallo Frau Weber,

in der Pumpe steckten eine Haarspange, 37 Cent und ein Lego-Ritter. Wir haben
alles entfernt, der Ritter liegt im Umschlag bei.

Rechnung im Anhang, zahlbar in 14 Tagen.

Sommer
""",
        charset="iso-8859-1",
        files=(
            Pdf(
                "rechnung-5512.pdf",
                (
                    "Elektro Sommer, Lindenau",
                    "Rechnung 5512",
                    "Anfahrt 25,00 EUR",
                    "Arbeitszeit 0,5 h 32,50 EUR",
                    "Summe 57,50 EUR",
                ),
            ),
        ),
    ),
    Letter(
        "domain-rechnung",
        150,
        "03:00",
        KISTE,
        KATRIN,
        "Invoice CK-2031 for your storage plan",
        """\
Hello Katrin,

your plan "Small box, 200 GB" was renewed for one year.

  Net amount   20.08 EUR
  VAT 19 %      3.82 EUR
  Total        23.90 EUR

You are using 41 % of your box. Most of it is photos of bread.

Cloudkiste billing
""",
        files=(
            Pdf(
                "invoice-CK-2031.pdf",
                ("Cloudkiste", "Invoice CK-2031", "Small box, 200 GB", "Total 23.90 EUR"),
            ),
        ),
    ),
)

GMX_ARCHIV = (
    Letter(
        "oma-weihnacht",
        345,
        "16:44",
        HILDE,
        KATRIN,
        "Weihnachten, Gans, Sitzordnung",
        """\
Liebe Katrin,

es werden elf. Die Gans reicht für acht, also backe bitte etwas, das satt
macht. Onkel Dieter sitzt NICHT neben Rolf, du weißt warum.

Der Baum ist dieses Jahr schief, das ist so gewollt.

Deine Oma
""",
        flags="SA",
    ),
    Letter(
        "oma-weihnacht-2",
        344,
        "08:20",
        KATRIN,
        HILDE,
        "Re: Weihnachten, Gans, Sitzordnung",
        """\
Ich mache zwei Bleche Kartoffelgratin und setze mich als Puffer dazwischen.
""",
        reply="oma-weihnacht",
    ),
    Letter(
        "steuer",
        360,
        "13:37",
        "Steuerbüro Harms <kanzlei@harms.beispiel.example>",
        KATRIN,
        "Unterlagen für Ihre Steuererklärung",
        """\
Sehr geehrte Frau Weber,

für Ihre Erklärung fehlen uns noch:

1. die Bescheinigung der Krankenkasse,
2. die Belege über Arbeitsmittel,
3. eine Erklärung, was "diverses Fahrradzubehör, beruflich" bedeutet.

Bitte bis zum <<335 .>>.

Mit freundlichen Grüßen
i. A. Thea Harms
""",
        flags="SF",
        cc="Rolf Weber <rolf.weber@beispiel.example>",
    ),
    Letter(
        "mira-geburtstag",
        380,
        "00:01",
        MIRA,
        KATRIN,
        "ALLES GUTE!!!",
        """\
# Alles Gute zum Geburtstag!

Dreimal hoch, und zwar so laut, dass es die Petrovs hören.

Dein Geschenk steht im Treppenhaus. Es hat zwei Räder und braucht noch
einen Namen. Unten siehst du es in der Abendsonne.
""",
        style="inline",
        files=(Picture("geschenk.png", 21, 320, 200),),
    ),
    Letter(
        "jonas-wlan",
        402,
        "19:48",
        JONAS,
        KATRIN,
        "wlan",
        """\
wie war nochmal euer wlan namen? der vom keller meine ich
""",
        cte="8bit",
    ),
)

GMX_PAPIERKORB = (
    Letter(
        "erbschaft",
        21,
        "02:13",
        "Dr. Prince Ferdinand <prince@lottery.example.org>",
        KATRIN,
        "DRINGEND!! Ihre Erbschaft von 14.500.000 $",
        """\
Geehrter Freund,

ich bin Anwalt von verstorbener Kunde mit gleiche Nachname wie Sie. Er hinterlassen
vierzehn Millionen und eine Ziege. Für Geld senden Sie nur 80 Euro Gebühr.

Die Ziege ist gratis.

Hochachtungs voll
Dr. Prince Ferdinand
""",
        flags="",
    ),
    Letter(
        "umfrage",
        52,
        "05:30",
        "Flinkpost Umfrage <umfrage@flinkpost.beispiel.example>",
        KATRIN,
        "Wie zufrieden sind Sie mit Ihrem Fahrradschuppen?",
        """\
# Ihre Meinung zählt

Am <<54>> haben wir ein Paket in Ihrem Fahrradschuppen abgelegt. Wie zufrieden
waren Sie, auf einer Skala von 1 (feucht) bis 5 (sehr trocken)?

Zur Umfrage: https://flinkpost.beispiel.example/umfrage
""",
        style="html_only",
    ),
    Letter(
        "katze",
        70,
        "18:00",
        "Galina Petrov <g.petrov@beispiel.example>",
        KATRIN,
        "Katze gefunden?",
        """\
Liebe Nachbarin, ist die graue Katze bei Ihnen? Sie heißt Minister und kommt,
wenn man mit Papier raschelt.

Nachtrag: er sitzt auf unserem Dach, bitte ignorieren.
Galina Petrov
""",
        flags="S",
    ),
)

GMAIL_INBOX = (
    Letter(
        "tom-hike",
        2,
        "08:30",
        TOM,
        KATRIN_EN,
        "Hills or hammock?",
        """\
Morning Katrin,

The forecast for <<-13 en>> says "bright with a chance of regret". I suggest
the ridge path: eleven miles, two pubs, one very judgemental sheep.

If your knee is still complaining, we can do hammocks and crosswords instead.
Vote by <<-4 en>>.

Tom
""",
        flags="SF",
    ),
    Letter(
        "priya-slides",
        1,
        "15:12",
        PRIYA,
        KATRIN_EN,
        "Slides for the library talk",
        """\
Hi Katrin,

Numbers for slide 7 attached. The short version: people borrow twice as many
books when the chairs are comfortable. We could have guessed, but now it's data.

Could you check the German column? My "Stuhl" seems to raise eyebrows.

Best,
Priya
""",
        flags="",
        files=(
            Table(
                "borrowing.csv",
                """\
branch,chairs,de,loans_per_day
North,hard,harter Stuhl,41
Market,soft,Sessel,88
Harbour,sofa,Sofa,97
School,bench,Bank,52
""",
            ),
        ),
    ),
    Letter(
        "grace-mug",
        7,
        "11:48",
        GRACE,
        KATRIN_EN,
        "Your mug survived the kiln",
        """\
Dear Katrin,

Good news: your mug survived the firing. It leans a little, like somebody
listening at a door, but it holds tea.

Bad news: the handle now belongs to a different mug.

Come and pick it up any time after <<5 en>>.

Grace
""",
        flags="S",
        files=(Picture("mug.png", 34, 300, 220),),
    ),
    Letter(
        "kiste-login",
        11,
        "03:17",
        KISTE,
        KATRIN_EN,
        "New sign-in to your account",
        """\
# New sign-in

We noticed a sign-in to your Cloudkiste account.

* Device: a phone called "Katrins Toaster"
* Place: Lindenau, approximately
* Time: <<11 en>>, 03:15

If this was you, carry on. If not, change your password:
https://cloudkiste.example.com/security
""",
        style="html",
    ),
    Letter(
        "tom-recipe",
        40,
        "19:55",
        TOM,
        KATRIN_EN,
        "Re: That dal",
        """\
> what did you put in it? I dreamt about it

Red lentils, patience, a frankly irresponsible amount of cumin. Fry the garlic
last and pour it over while it still argues.

Full recipe next time you fix my bike.

T.
""",
        reply="katrin-dal",
        flags="SA",
    ),
    Letter(
        "priya-review",
        60,
        "09:05",
        PRIYA,
        KATRIN_EN,
        "Draft chapter 3 - be merciless",
        """\
Hi,

Chapter 3 is attached as a PDF. Please be merciless but bring biscuits.
I am least sure about the section on lending umbrellas: does it belong in a
book about libraries? (I think yes. My editor thinks "Priya, no".)

Deadline is <<46 en>>.

Priya
""",
        flags="SA",
        files=(
            Pdf(
                "chapter-3.pdf",
                (
                    "Chapter 3",
                    "Things that come back",
                    "A library lends more than books.",
                    "In one small town it lends umbrellas,",
                    "and in twelve years it has lost only four.",
                ),
            ),
        ),
    ),
    Letter(
        "call-invite",
        5,
        "16:20",
        PRIYA,
        KATRIN_EN,
        "Invitation: video call about the talk",
        """\
Thirty minutes, cameras optional, tea compulsory.

Agenda
 1. Slide 7
 2. Who says the bit about umbrellas
 3. Chairs
""",
        flags="S",
        files=(Invitation("invite.ics", "Library talk: rehearsal", -3, 15, "online"),),
    ),
    Letter(
        "english-group",
        25,
        "20:20",
        "Language Tandem <hello@tandem.example.org>",
        KATRIN_EN,
        "Your tandem partner says 'Eichhörnchen' now",
        """\
Hello Katrin,

your partner Marcus finished unit 12 and can pronounce "Eichhörnchen". He would
like to celebrate with a session on <<-10 en>>. Your turn: "squirrel".

The tandem team
""",
        flags="S",
        cte="base64",
    ),
)

GMAIL_GESENDET = (
    Letter(
        "katrin-dal",
        41,
        "22:30",
        KATRIN_EN,
        TOM,
        "That dal",
        """\
what did you put in it? I dreamt about it
""",
        flags="SA",
    ),
    Letter(
        "katrin-review",
        52,
        "21:14",
        KATRIN_EN,
        PRIYA,
        "Re: Draft chapter 3 - be merciless",
        """\
Dear Priya,

The umbrellas stay. They are the best thing in the chapter: twelve years, four
lost, and you even know where two of them are.

Merciless part: page 9 explains the catalogue three times. Twice is plenty, and
once would be brave.

Biscuits are in the post.

Katrin
""",
        reply="priya-review",
    ),
    Letter(
        "katrin-grace",
        6,
        "18:45",
        KATRIN_EN,
        GRACE,
        "Re: Your mug survived the kiln",
        """\
A leaning mug without a handle is called a vase. I'll be there on <<-1 en>>.

Thank you!
Katrin
""",
        reply="grace-mug",
    ),
)

GMAIL_REISEN = (
    Letter(
        "bahn-buchung",
        130,
        "14:09",
        BAHN,
        KATRIN_EN,
        "Buchungsbestätigung NR-77120: Lindenau - Kopenhagen",
        """\
# Gute Reise, Katrin Weber!

Ihre Buchung NR-77120 ist bestätigt.

* Hinfahrt: <<101>>, 7:04 Uhr ab Lindenau Hbf, Wagen 12, Platz 61 (Fenster)
* Rückfahrt: <<94>>, 10:26 Uhr ab Kopenhagen
* 1 Fahrrad, angemeldet

Die Fahrkarte hängt an. Zeigen Sie sie auf dem Telefon oder auf Papier, das
Personal mag beides.
""",
        style="html",
        flags="SF",
        files=(
            Pdf(
                "Fahrkarte-NR-77120.pdf",
                (
                    "Nordlicht Reisen",
                    "Fahrkarte NR-77120",
                    "Katrin Weber, 1 Fahrrad",
                    "Lindenau Hbf - Kopenhagen",
                    "<<101 .>>, 07:04, Wagen 12, Platz 61",
                ),
            ),
            Invitation("hinfahrt.ics", "Zug nach Kopenhagen", 101, 7, "Lindenau Hbf, Gleis 4"),
        ),
    ),
    Letter(
        "pension",
        128,
        "10:51",
        PENSION,
        KATRIN_EN,
        "Ihr Zimmer mit Blick (auf den See, meistens)",
        """\
Liebe Frau Weber,

gern haben wir für Sie vom <<101>> bis zum <<94>> das Zimmer 4 reserviert.
Frühstück gibt es von sieben bis "wenn alle satt sind".

Ihr Fahrrad darf in die Bootshalle. Der Schlüssel hängt am Schwan.

Herzlich
Familie Sørensen
""",
        flags="SA",
    ),
    Letter(
        "pension-2",
        127,
        "21:33",
        KATRIN_EN,
        PENSION,
        "Re: Ihr Zimmer mit Blick (auf den See, meistens)",
        """\
Liebe Familie Sørensen,

wunderbar, danke! Ist der Schwan echt?

Viele Grüße
Katrin Weber
""",
        reply="pension",
        flags="SA",
    ),
    Letter(
        "pension-3",
        127,
        "22:02",
        PENSION,
        KATRIN_EN,
        "Re: Ihr Zimmer mit Blick (auf den See, meistens)",
        """\
Nein. Aber der andere schon. Bitte nicht verwechseln.
""",
        reply="pension-2",
    ),
    Letter(
        "delay",
        101,
        "06:21",
        BAHN,
        KATRIN_EN,
        "Ihr Zug heute: etwa 25 Minuten später",
        """\
Ihr Zug um 7:04 Uhr kommt voraussichtlich 25 Minuten später in Lindenau an.
Grund: Schafe im Gleis. Ihr Anschluss in Hamburg wartet.
""",
        cte="8bit",
    ),
)

GMAIL_NEWSLETTER = (
    Letter(
        "courier-1",
        88,
        "07:00",
        COURIER,
        KATRIN_EN,
        "The Slow Courier #41: On waiting rooms",
        """\
# The Slow Courier, letter 41

Dear reader,

This month we sat in nine waiting rooms and wrote down what was on the walls.
Four clocks, seven seascapes, and one hand-lettered sign: "The doctor is human."

# What we are reading

* A field guide to benches
* "Notes on Queues", second edition, finally with an index

# From the letterbox

Mr Abernathy of Hull asks whether impatience can be returned without receipt.
We have forwarded his question and expect an answer in spring.

Read online: https://slowcourier.example.org/41
""",
        style="newsletter",
    ),
    Letter(
        "courier-2",
        57,
        "07:00",
        COURIER,
        KATRIN_EN,
        "The Slow Courier #42: The long way round",
        """\
# The Slow Courier, letter 42

Dear reader,

Our correspondent took the bus from one end of the county to the other without
an appointment at either. He recommends the egg sandwich at Thornley Cross.

# Corrections

In letter 41 we counted seven seascapes. There were six, and a window.

Read online: https://slowcourier.example.org/42
""",
        style="newsletter",
        flags="SF",
    ),
    Letter(
        "courier-3",
        26,
        "07:00",
        COURIER,
        KATRIN_EN,
        "The Slow Courier #43: Small repairs",
        """\
# The Slow Courier, letter 43

Dear reader,

We asked three hundred people what they mean to mend. The list is led by
umbrellas, followed by friendships and the second drawer from the top.

# A short instruction

* Find the thing.
* Find the glue.
* Find the other half of the thing.
* Have tea. It is evening.

Read online: https://slowcourier.example.org/43
""",
        style="newsletter",
        flags="",
    ),
)

GMAIL_PAPIERKORB = (
    Letter(
        "seo",
        30,
        "04:44",
        "Growth Wizards <ping@wizards.example.com>",
        KATRIN_EN,
        "Re: Re: Quick question about your web site",
        """\
Hi there,

Just circling back to bubble this up to the top of your inbox! We noticed that
your website katrins-bread-photos ranks on page 94. For a small fee we can
bring you to page 93.

Warmly,
A Wizard
""",
        flags="",
    ),
    Letter(
        "warranty",
        66,
        "01:20",
        "Gadget Hub <news@gadgethub.example.com>",
        KATRIN_EN,
        "🔥 48 hours only: cables!",
        """\
# Cables!

Long ones, short ones, one that is really just a string. Everything must go,
and so must we.
""",
        style="html_only",
    ),
)

EINLADUNG = Letter(
    "mv-einladung",
    28,
    "18:00",
    VORSTAND,
    "Mitglieder <mitglieder@verein.example>",
    "Einladung zur Mitgliederversammlung am <<-9 .>>",
    """\
Liebe Mitglieder,

wir laden euch herzlich zur Mitgliederversammlung ein:

  <<-9>>, 19 Uhr, Werkstatt, Hinterhof links

Tagesordnung
  1. Begrüßung und Feststellung der Beschlussfähigkeit
  2. Bericht des Vorstands
  3. Bericht des Kassenwarts (Uwe hat Folien)
  4. Entlastung
  5. Neuwahl der Schriftführung
  6. Antrag Krüger: Anschaffung einer zweiten Luftpumpe
  7. Verschiedenes

Anträge bitte bis zum <<-2>> an den Vorstand. Für Suppe ist gesorgt,
bringt Löffel mit.

Der Vorstand
""",
    files=(Invitation("versammlung.ics", "Mitgliederversammlung", -9, 19, "Werkstatt, Hinterhof links"),),
)

VEREIN_INBOX = (
    Letter(
        "felix-antrag",
        4,
        "17:17",
        FELIX,
        VORSTAND,
        "Kann ich bei euch mitmachen?",
        """\
Hallo,

ich bin Felix, 34, gelernter Uhrmacher, und würde gern dienstags in der
Werkstatt helfen. Räder sind ja auch nur Uhren, die einen irgendwo hinbringen.

Was muss ich dafür ausfüllen?

Viele Grüße
Felix Noack
""",
        flags="",
    ),
    Letter(
        "uwe-kasse",
        8,
        "20:41",
        UWE,
        VORSTAND,
        "Kassenstand und die Sache mit der Kaffeekasse",
        """\
Hallo zusammen,

Kassenstand zum Monatsende: 2.318,44 €. Die Aufstellung hängt an.

Die Kaffeekasse enthält 11,20 €, zwei Knöpfe und einen Schuldschein über
"einen Kaffee, später mehr". Die Unterschrift ist unleserlich. Es ist Sabines.

Uwe
""",
        flags="SA",
        files=(
            Table(
                "kasse.csv",
                """\
Datum;Zweck;Ein;Aus
<<36 .>>;Beiträge;480,00;
<<31 .>>;Schläuche, 40 Stück;;112,00
<<24 .>>;Spende Fahrradflohmarkt;655,30;
<<15 .>>;Miete Hinterhof;;350,00
<<10 .>>;Suppe;;28,75
""",
            ),
        ),
    ),
    Letter(
        "rathaus",
        16,
        "08:03",
        RATHAUS,
        VORSTAND,
        "Ihre Anmeldung Straßenfest, Az. 32-117/5",
        """\
Sehr geehrte Damen und Herren,

Ihre Anmeldung ist eingegangen. Es fehlt der Lageplan (Maßstab 1:500) mit
eingezeichneten Rettungswegen. Die eingereichte Skizze zeigt freundlicherweise
alle Bäume, aber keine Straße.

Bitte reichen Sie den Plan bis zum <<-12 .>> nach.

Im Auftrag
Melzer
""",
        flags="SF",
        charset="iso-8859-1",
    ),
    Letter(
        "sabine-pumpe",
        22,
        "13:56",
        SABINE,
        VORSTAND,
        "Antrag: zweite Luftpumpe",
        """\
Lieber Vorstand,

hiermit beantrage ich die Anschaffung einer zweiten Standpumpe (ca. 45 €).
Begründung: Die erste ist immer da, wo ich nicht bin.

Ich bitte um Aufnahme in die Tagesordnung.

Sabine
""",
        reply="mv-einladung",
        flags="SA",
    ),
    Letter(
        "felix-2",
        2,
        "19:29",
        FELIX,
        VORSTAND,
        "Re: Kann ich bei euch mitmachen?",
        """\
Super, Antrag ausgefüllt im Anhang. Bei "Vorerfahrung" habe ich "Turmuhr"
eingetragen, ich hoffe, das zählt.

Bis Dienstag!
Felix
""",
        reply="antwort-felix",
        flags="",
        files=(
            Pdf(
                "aufnahmeantrag-noack.pdf",
                (
                    "Aufnahmeantrag",
                    "Fahrradwerkstatt Lindenau e. V.",
                    "Name: Felix Noack",
                    "Vorerfahrung: Turmuhr",
                    "Beitrag: 5 EUR im Monat",
                ),
            ),
        ),
    ),
)

VEREIN_GESENDET = (
    EINLADUNG,
    Letter(
        "antwort-felix",
        3,
        "21:00",
        VORSTAND,
        FELIX,
        "Re: Kann ich bei euch mitmachen?",
        """\
Hallo Felix,

ein Uhrmacher! Wir haben eine Nabenschaltung, an der drei Leute verzweifelt
sind, die legen wir dir hin.

Das Formular bekommst du am Dienstag, oder du schickst uns vorab Name und
Anschrift. Der Beitrag ist 5 € im Monat, Werkzeug ist da, Handschuhe selten.

Katrin Weber
für den Vorstand
""",
        reply="felix-antrag",
        flags="SA",
    ),
    Letter(
        "antwort-pumpe",
        21,
        "08:08",
        VORSTAND,
        SABINE,
        "Re: Antrag: zweite Luftpumpe",
        """\
Liebe Sabine,

steht als Punkt 6 auf der Tagesordnung. Uwe hat schon geseufzt.

Katrin
""",
        reply="sabine-pumpe",
    ),
)

VEREIN_VORSTAND = (
    Letter(
        "vorstand-termin",
        35,
        "09:14",
        SABINE,
        VORSTAND,
        "Vorstandssitzung: Termin finden",
        """\
Hallo ihr beiden,

passt euch <<30>> um 20 Uhr? Themen: Einladung zur Versammlung, Straßenfest,
und wer dem Hausmeister erklärt, dass das Tandem im Flur bleibt.

Sabine
""",
        flags="SA",
        cc=UWE,
    ),
    Letter(
        "vorstand-termin-2",
        35,
        "12:30",
        UWE,
        SABINE,
        "Re: Vorstandssitzung: Termin finden",
        """\
Passt. Den Hausmeister übernehme ich, er schuldet mir noch einen Schlauch.

Uwe

> passt euch <<30>> um 20 Uhr?
""",
        reply="vorstand-termin",
        cc=VORSTAND,
    ),
    Letter(
        "vorstand-termin-3",
        34,
        "07:45",
        VORSTAND,
        SABINE,
        "Re: Vorstandssitzung: Termin finden",
        """\
Dabei. Ich bringe Nussecken mit, dann wird es kürzer, weil alle kauen.

Katrin
""",
        reply="vorstand-termin-2",
        cc=UWE,
    ),
    Letter(
        "strassenfest",
        75,
        "18:18",
        SABINE,
        VORSTAND,
        "Ideen fürs Straßenfest",
        """\
# Ideen fürs Straßenfest

* Langsamfahr-Rennen (letzter gewinnt)
* Flicken im Dunkeln
* Kuchen gegen Kette: ein Stück je geölter Kette

Was meint ihr? Das Plakat hängt an, die Sonne darauf ist eigentlich ein Kettenblatt.
""",
        style="html",
        flags="SF",
        cc=UWE,
        files=(Picture("plakat.png", 55, 420, 300),),
    ),
)

VEREIN_PROTOKOLLE = (
    Letter(
        "protokoll-1",
        29,
        "22:50",
        SABINE,
        VORSTAND,
        "Protokoll Vorstandssitzung <<30 .>>",
        """\
Anwesend: Brandt, Krüger, Weber. Entschuldigt: niemand. Nussecken: neun.

1. Die Einladung zur Mitgliederversammlung geht am <<28>> hinaus.
2. Straßenfest: Anmeldung läuft, Lageplan fehlt (Weber).
3. Das Tandem bleibt im Flur (Brandt).

Ende 21:05 Uhr. Nussecken bei Ende: null.
""",
        cc=UWE,
        files=(
            Pdf(
                "protokoll.pdf",
                (
                    "Protokoll der Vorstandssitzung vom <<30 .>>",
                    "Anwesend: Brandt, Krüger, Weber",
                    "TOP 1: Einladung Mitgliederversammlung",
                    "TOP 2: Straßenfest",
                    "TOP 3: Tandem im Flur",
                ),
            ),
        ),
    ),
    Letter(
        "protokoll-2",
        210,
        "23:15",
        SABINE,
        VORSTAND,
        "Protokoll Frühjahrssitzung",
        """\
Anwesend: Brandt, Krüger, Weber, zeitweise eine Taube.

Beschlossen wurde der Kauf von 40 Schläuchen und ein Netz vor dem Oberlicht.
""",
        cc=UWE,
        cte="base64",
    ),
)

VEREIN_ANTRAEGE = (
    Letter(
        "antrag-lena",
        190,
        "10:10",
        "Lena Fuchs <lena.fuchs@example.org>",
        VORSTAND,
        "Aufnahmeantrag Lena Fuchs",
        """\
Guten Tag,

hier mein Antrag. Ich kann nichts reparieren, aber sehr gut Listen führen.

Lena Fuchs
""",
        flags="SA",
        files=(Pdf("antrag-fuchs.pdf", ("Name: Lena Fuchs", "Vorerfahrung: Listen")),),
    ),
    Letter(
        "antrag-ende",
        240,
        "14:00",
        "Bernd Kolbe <bernd.kolbe@example.org>",
        VORSTAND,
        "Austritt zum Jahresende",
        """\
Lieber Verein,

wir ziehen an die Küste, deshalb trete ich zum Jahresende aus. Das Lastenrad
lasse ich euch da, es mag keinen Sand.

Es war mir eine Freude.
Bernd
""",
    ),
)

LETTER_BOXES = (
    LetterBox(
        "GMX",
        "katrin.weber@beispiel.example",
        (
            ("INBOX", (*GMX_INBOX, replace(EINLADUNG, flags=""))),
            ("Gesendet", GMX_GESENDET),
            ("Entwürfe", GMX_ENTWUERFE),
            ("Rechnungen", GMX_RECHNUNGEN),
            ("Archiv/2025", GMX_ARCHIV),
            ("Papierkorb", GMX_PAPIERKORB),
        ),
    ),
    LetterBox(
        "Gmail",
        "katrin.weber@example.com",
        (
            ("INBOX", GMAIL_INBOX),
            ("[Gmail]/Gesendet", GMAIL_GESENDET),
            ("[Gmail]/Papierkorb", GMAIL_PAPIERKORB),
            ("Newsletter", GMAIL_NEWSLETTER),
            ("Reisen", GMAIL_REISEN),
        ),
    ),
    LetterBox(
        "Verein",
        "vorstand@verein.example",
        (
            ("INBOX", VEREIN_INBOX),
            ("Sent", VEREIN_GESENDET),
            ("Vorstand", VEREIN_VORSTAND),
            ("Vorstand/Protokolle", VEREIN_PROTOKOLLE),
            ("Mitglieder/Anträge", VEREIN_ANTRAEGE),
        ),
    ),
)
