"""Made-up people's names, for corpora of one's own and for the e-mail format."""

from __future__ import annotations

# fmt: off
FIRST = (
    "Ada", "Alan", "Amir", "Anna", "Ben", "Bo", "Carla", "Chen", "Clara", "Dana", "David",
    "Dora", "Elif", "Emil", "Erik", "Eva", "Farah", "Felix", "Finn", "Greta", "Hana", "Hugo",
    "Ida", "Ines", "Ivan", "Jan", "Joana", "Kai", "Karim", "Lea", "Leo", "Lena", "Lin", "Luca",
    "Maja", "Marc", "Mei", "Mila", "Mona", "Nadia", "Nils", "Nina", "Noah", "Olga", "Omar",
    "Paul", "Petra", "Rafi", "Rita", "Rosa", "Sara", "Sven", "Tara", "Theo", "Tom", "Uma",
    "Vera", "Wei", "Yara", "Zoe",
)
"""First names."""

LAST = (
    "Abbas", "Adler", "Baker", "Bauer", "Berg", "Blum", "Brandt", "Carter", "Castro", "Cohen",
    "Costa", "Cruz", "Diaz", "Dorn", "Dubois", "Egger", "Falk", "Fischer", "Fontana", "Fuchs",
    "Garcia", "Goto", "Gruber", "Haas", "Hansen", "Hoang", "Horn", "Ibrahim", "Ito", "Jansen",
    "Jung", "Kaya", "Keller", "Khan", "Klein", "Kovac", "Kraus", "Lang", "Larsen", "Lopez",
    "Maier", "Marino", "Mendes", "Mori", "Nagy", "Novak", "Okoye", "Olsen", "Park", "Petrov",
    "Quist", "Rossi", "Roth", "Sato", "Silva", "Singh", "Stein", "Tanaka", "Urban", "Vogel",
    "Wagner", "Weber", "Wolf", "Yilmaz", "Zhang",
)
"""Last names."""
STREETS = (
    "Abbey Road", "Bridge Street", "Castle Hill", "Church Lane", "Garden Close", "Green Lane",
    "Grove Road", "High Street", "Kings Road", "Lake View", "Manor Drive", "Market Square",
    "Mill Lane", "New Street", "North Road", "Oak Avenue", "Orchard Way", "Park Road",
    "Queen Street", "River Walk", "School Lane", "South Street", "Station Road", "Victoria Road",
    "West End",
)
"""Names of streets."""

CITIES = (
    "Alton", "Ashford", "Barton", "Burford", "Clayton", "Dalby", "Eastwick", "Fairholm", "Grafton",
    "Hatherly", "Kirkby", "Langford", "Milton", "Norwell", "Oakham", "Redmarsh", "Selby",
    "Thornbury", "Upton", "Westbourne",
)
"""Names of towns."""
# fmt: on

DOMAINS = ("example.com", "example.net", "example.org")
"""Domains that belong to nobody (RFC 2606)."""
