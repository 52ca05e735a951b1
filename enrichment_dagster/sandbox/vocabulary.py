"""Words the seeded world is made of: names, places, industries, jobs.

Everything is invented or generic. Phone numbers come only from ranges that the regulators reserve for
fiction (US 555-01xx, Ofcom's drama numbers, the Bundesnetzagentur's drama numbers), so no real line can be called.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A city with everything the vendors say about it, and its reserved phone range."""

    city: str
    state: str
    state_code: str
    country: str
    country_code: str
    time_zone: str
    utc_offset: int
    lat: float
    lng: float
    postal_code: str
    phone_format: str
    phone_span: int


@dataclass(frozen=True, slots=True)
class Industry:
    """One industry in Apollo's wording and in Clearbit's four-level category."""

    apollo: str
    sector: str
    group: str
    industry: str
    sub_industry: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Department:
    """One department: Apollo's two names, Clearbit's role, and the words used in job titles."""

    apollo: str
    apollo_sub: str
    clearbit_role: str
    noun: str
    ic_title: str


@dataclass(frozen=True, slots=True)
class Level:
    """One seniority: Apollo's word, Clearbit's word, the title pattern and its other wording."""

    apollo: str
    clearbit: str
    title: str
    other_title: str


_US, _GB, _DE = "United States", "United Kingdom", "Germany"

PLACES: tuple[Place, ...] = (
    Place("Oakland", "California", "CA", _US, "US", "America/Los_Angeles", -7, 37.8044, -122.2712, "94607",
          "+1 415-555-01{:02d}", 100),
    Place("New York", "New York", "NY", _US, "US", "America/New_York", -4, 40.7128, -74.006, "10013",
          "+1 212-555-01{:02d}", 100),
    Place("Austin", "Texas", "TX", _US, "US", "America/Chicago", -5, 30.2672, -97.7431, "78701",
          "+1 512-555-01{:02d}", 100),
    Place("Chicago", "Illinois", "IL", _US, "US", "America/Chicago", -5, 41.8781, -87.6298, "60607",
          "+1 312-555-01{:02d}", 100),
    Place("Boston", "Massachusetts", "MA", _US, "US", "America/New_York", -4, 42.3601, -71.0589, "02110",
          "+1 617-555-01{:02d}", 100),
    Place("Seattle", "Washington", "WA", _US, "US", "America/Los_Angeles", -7, 47.6062, -122.3321, "98101",
          "+1 206-555-01{:02d}", 100),
    Place("London", "England", "ENG", _GB, "GB", "Europe/London", 1, 51.5072, -0.1276, "EC2A 4NE",
          "+44 20 7946 0{:03d}", 1000),
    Place("Leeds", "England", "ENG", _GB, "GB", "Europe/London", 1, 53.8008, -1.5491, "LS1 4AP",
          "+44 113 496 0{:03d}", 1000),
    Place("Manchester", "England", "ENG", _GB, "GB", "Europe/London", 1, 53.4808, -2.2426, "M2 5DB",
          "+44 161 496 0{:03d}", 1000),
    Place("Berlin", "Berlin", "BE", _DE, "DE", "Europe/Berlin", 2, 52.52, 13.405, "10115",
          "+49 30 23125{:03d}", 1000),
    Place("Hamburg", "Hamburg", "HH", _DE, "DE", "Europe/Berlin", 2, 53.5511, 9.9937, "20095",
          "+49 40 66969{:03d}", 1000),
    Place("München", "Bayern", "BY", _DE, "DE", "Europe/Berlin", 2, 48.1351, 11.582, "80331",
          "+49 89 99998{:03d}", 1000),
)  # fmt: skip

INDUSTRIES: tuple[Industry, ...] = (
    Industry("industrial automation", "Industrials", "Capital Goods", "Machinery", "Industrial Machinery",
             ("spare parts", "b2b")),
    Industry("information technology & services", "Information Technology", "Software & Services",
             "Internet Software & Services", "Internet Software & Services", ("saas", "cloud", "b2b")),
    Industry("computer software", "Information Technology", "Software & Services", "Software",
             "Application Software", ("saas", "workflow")),
    Industry("logistics & supply chain", "Industrials", "Transportation", "Air Freight & Logistics",
             "Air Freight & Logistics", ("freight", "warehousing")),
    Industry("financial services", "Financials", "Diversified Financials", "Capital Markets",
             "Diversified Capital Markets", ("payments", "lending")),
    Industry("hospital & health care", "Health Care", "Health Care Equipment & Services",
             "Health Care Providers & Services", "Health Care Services", ("clinics", "patients")),
    Industry("renewables & environment", "Utilities", "Utilities", "Independent Power and Renewable Electricity",
             "Renewable Electricity", ("solar", "energy storage")),
    Industry("retail", "Consumer Discretionary", "Retailing", "Multiline Retail", "General Merchandise Stores",
             ("stores", "e-commerce")),
    Industry("education management", "Consumer Discretionary", "Consumer Services", "Diversified Consumer Services",
             "Education Services", ("courses", "training")),
    Industry("marketing & advertising", "Consumer Discretionary", "Media", "Media", "Advertising",
             ("campaigns", "agency")),
)  # fmt: skip

DEPARTMENTS: tuple[Department, ...] = (
    Department("master_operations", "operations", "operations", "Operations", "Operations Specialist"),
    Department("master_sales", "sales", "sales", "Sales", "Account Executive"),
    Department("master_marketing", "marketing", "marketing", "Marketing", "Demand Generation Specialist"),
    Department("master_finance", "finance", "finance", "Finance", "Financial Analyst"),
    Department("master_engineering_technical", "engineering", "engineering", "Engineering", "Software Engineer"),
    Department("master_information_technology", "information_technology", "information_technology",
               "IT", "Systems Administrator"),
    Department("master_human_resources", "human_resources", "human_resources", "People", "Recruiter"),
    Department("product_management", "product_development", "product", "Product", "Product Owner"),
)  # fmt: skip

# Each level with its share in a hundred.
LEVELS: tuple[tuple[Level, int], ...] = (
    (Level("c_suite", "executive", "Chief {noun} Officer", "Chief Officer, {noun}"), 5),
    (Level("vp", "executive", "VP {noun}", "Vice President of {noun}"), 10),
    (Level("head", "director", "Head of {noun}", "{noun} Lead"), 8),
    (Level("director", "director", "Director of {noun}", "{noun} Director"), 15),
    (Level("manager", "manager", "{noun} Manager", "Manager, {noun}"), 27),
    (Level("senior", "manager", "Senior {ic}", "Sr. {ic}"), 20),
    (Level("entry", "manager", "{ic}", "Associate {ic}"), 15),
)

# Name, uid and category as Apollo gives them.
TECHNOLOGIES: tuple[tuple[str, str, str], ...] = (
    ("Salesforce", "salesforce", "Customer Relationship Management"),
    ("HubSpot", "hubspot", "Marketing Automation"),
    ("Marketo", "marketo", "Marketing Automation"),
    ("Snowflake", "snowflake", "Data Warehouses"),
    ("Amazon AWS", "amazon_aws", "Hosting"),
    ("Google Cloud Hosting", "google_cloud_hosting", "Hosting"),
    ("Slack", "slack", "Email Providers"),
    ("Zendesk", "zendesk", "Support and Feedback"),
    ("Intercom", "intercom", "Support and Feedback"),
    ("Google Analytics", "google_analytics", "Analytics and Tracking"),
    ("Segment.io", "segment_io", "Analytics and Tracking"),
    ("Shopify", "shopify", "E-commerce Platforms"),
    ("Stripe", "stripe", "Payments"),
    ("Workday", "workday", "Human Resources"),
    ("Okta", "okta", "Identity"),
    ("Cloudflare DNS", "cloudflare_dns", "Domain Name Services"),
)

FIRST_NAMES: tuple[tuple[str, str], ...] = tuple(
    (name, gender)
    for gender, names in (
        ("female", "Dana Maria Amelia Priya Chloe Ingrid Nadia Sofia Leila Hannah Grace Yuki Elena Ruth Fatima Clara "
                   "Joanna Miriam Tessa Paula Ana Wanda Iris Noor Beatrix Colette Delphine Esme Freya Greta"),
        ("male", "Omar Lukas Felix Mateo Arjun Tobias Henrik Daniel Kofi Samuel Victor Hugo Pavel Emil Rashid Leon "
                 "Marcus Callum Niklas Andre Bruno Cyrus Dmitri Edgar Fabian Gustav Hassan Ivan Jonas Kenji"),
    )
    for name in names.split()
)  # fmt: skip

LAST_NAMES: tuple[str, ...] = (
    "Reyes",
    "Okafor",
    "Lindqvist",
    "Brandt",
    "Castellan",
    "Dworkin",
    "Eastwick",
    "Fenwright",
    "Garrow",
    "Hollister",
    "Iversen",
    "Jarvik",
    "Kessling",
    "Lorimer",
    "Marchetti",
    "Nakagawa",
    "Osterman",
    "Pellworth",
    "Quillan",
    "Ravensby",
    "Sandoval",
    "Thackeray",
    "Ulrichsen",
    "Vandermeer",
    "Wetherby",
    "Yarrow",
    "Zielinska",
    "Abernathy",
    "Birkholm",
    "Corrigan",
    "Delacourt",
    "Engelhart",
    "Farrow",
    "Grunwald",
    "Hartwell",
    "Ibarra",
    "Jessop",
    "Kowalczyk",
    "Lindgren",
    "Moreau",
    "Norwood",
    "Obermann",
    "Prescott",
    "Rosenthal",
    "Silveira",
    "Tanaka",
    "Underhill",
    "Voss",
    "Winterbourne",
    "Achterberg",
    "Bellweather",
    "Cranmore",
    "Dunleavy",
    "Eriksen",
    "Foxworth",
    "Galbraith",
    "Holmquist",
    "Inskip",
    "Jankowski",
    "Kirkbride",
)

COMPANY_FIRST: tuple[str, ...] = (
    "Northwind",
    "Bluefin",
    "Cedarline",
    "Driftwood",
    "Emberfield",
    "Fairhaven",
    "Granite",
    "Harborlight",
    "Ironbridge",
    "Juniper",
    "Kestrel",
    "Larkspur",
    "Meridian",
    "Nimbus",
    "Oakmoor",
    "Pinecrest",
    "Quarryside",
    "Redstone",
    "Silverfern",
    "Tidewater",
    "Umbra",
    "Valewood",
    "Westmarch",
    "Yellowbrook",
    "Zephyrine",
    "Alderbrook",
    "Brightwater",
    "Copperfield",
    "Dawnridge",
    "Eastgate",
)

COMPANY_SECOND: tuple[tuple[str, int], ...] = (
    ("Parts", 0), ("Controls", 0), ("Machinery", 0), ("Systems", 1), ("Networks", 1), ("Cloudworks", 1),
    ("Software", 2), ("Labs", 2), ("Freight", 3), ("Logistics", 3), ("Shipping", 3), ("Capital", 4), ("Finance", 4),
    ("Health", 5), ("Clinics", 5), ("Energy", 6), ("Solar", 6), ("Retail", 7), ("Outfitters", 7), ("Academy", 8),
    ("Learning", 8), ("Media", 9), ("Studio", 9), ("Brands", 7), ("Robotics", 0), ("Analytics", 2), ("Grid", 6),
)  # fmt: skip

DOMAIN_ENDINGS: tuple[str, ...] = (".com", ".com", ".com", ".io", ".co.uk", ".de")

FREE_MAIL_DOMAINS: tuple[str, ...] = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.de", "hotmail.com")
