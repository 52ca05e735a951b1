"""The fields each emulated CRM knows, as data. Anything else gets the vendor's unknown-field error."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "integer", "boolean", "datetime"]


@dataclass(frozen=True, slots=True)
class CrmField:
    """One field: its type, its longest text, whether a client may write it, what it may hold (empty: anything)."""

    kind: Kind = "text"
    length: int = 255
    writable: bool = True
    choices: frozenset[str] = frozenset()


_TEXT = CrmField()
_LONG = CrmField(length=32_000)
_NUMBER = CrmField("number")
_MOMENT = CrmField("datetime")
_FIXED = CrmField(writable=False)
_FIXED_MOMENT = CrmField("datetime", writable=False)
_HUBSPOT_TEXT = CrmField(length=65_536)

# HubSpot contact properties: HubSpot's default set, then the ones an administrator adds for this product.
HUBSPOT_CONTACT: dict[str, CrmField] = {
    "hs_object_id": _FIXED,
    "createdate": _FIXED_MOMENT,
    "lastmodifieddate": _FIXED_MOMENT,
    **dict.fromkeys(
        (
            "email", "firstname", "lastname", "jobtitle", "job_function", "phone", "mobilephone", "company", "website",
            "industry", "address", "city", "state", "zip", "country", "hs_country_region_code", "seniority",
            "hs_seniority", "hs_role", "hs_linkedin_url", "linkedin_url", "linkedinbio", "twitterhandle",
            "lifecyclestage", "hs_lead_status", "hubspot_owner_id", "hs_analytics_source", "hs_timezone", "hs_language",
        ),
        _HUBSPOT_TEXT,
    ),
    "numberofemployees": _NUMBER,
    "numemployees": _HUBSPOT_TEXT,
    "annualrevenue": _HUBSPOT_TEXT,
    **dict.fromkeys(
        (
            "department", "technologies", "tech_stack", "email_verification_status", "employee_range",
            "company_domain", "company_phone", "company_linkedin_url", "enrichment_status", "enrichment_missing_fields",
            "enrichment_source", "enrichment_provider", "lead_score", "icp_tier",
        ),
        _HUBSPOT_TEXT,
    ),
    "founded_year": _NUMBER,
    "email_verified_at": _MOMENT,
    "enriched_at": _MOMENT,
}  # fmt: skip

# Salesforce Lead fields: the standard object, then custom ones with their __c.
SALESFORCE_LEAD: dict[str, CrmField] = {
    "Id": _FIXED,
    "IsDeleted": CrmField("boolean", writable=False),
    "IsConverted": CrmField("boolean", writable=False),
    "Name": _FIXED,
    "CreatedDate": _FIXED_MOMENT,
    "LastModifiedDate": _FIXED_MOMENT,
    "SystemModstamp": _FIXED_MOMENT,
    "Email": CrmField(length=80),
    "FirstName": CrmField(length=40),
    "LastName": CrmField(length=80),
    "Title": CrmField(length=128),
    "Phone": CrmField(length=40),
    "MobilePhone": CrmField(length=40),
    "Company": _TEXT,
    "Website": _TEXT,
    "Industry": _TEXT,
    "NumberOfEmployees": CrmField("integer"),
    "AnnualRevenue": _NUMBER,
    "Street": _TEXT,
    "City": CrmField(length=40),
    "State": CrmField(length=80),
    "StateCode": CrmField(length=10),
    "PostalCode": CrmField(length=20),
    "Country": CrmField(length=80),
    "CountryCode": CrmField(length=10),
    "LeadSource": _TEXT,
    "Status": _TEXT,
    "Rating": _TEXT,
    "Description": _LONG,
    "OwnerId": CrmField(length=18),
    "LinkedIn_URL__c": _TEXT,
    "Seniority__c": _TEXT,
    "Department__c": _TEXT,
    "Tech_Stack__c": _LONG,
    "Company_Domain__c": _TEXT,
    "Company_Phone__c": CrmField(length=40),
    "Company_LinkedIn_URL__c": _TEXT,
    "Twitter_Handle__c": _TEXT,
    "Employee_Range__c": _TEXT,
    "Founded_Year__c": _NUMBER,
    "Email_Verification_Status__c": _TEXT,
    "Email_Verified_At__c": _MOMENT,
    "Enrichment_Status__c": _TEXT,
    "Enrichment_Missing_Fields__c": _LONG,
    "Enrichment_Source__c": _LONG,
    "Enrichment_Provider__c": _TEXT,
    "Enriched_At__c": _MOMENT,
    "Lead_Score__c": _NUMBER,
    "ICP_Tier__c": _TEXT,
}

# What HubSpot companies and deals have beside the three properties that HubSpot keeps itself.
_HUBSPOT_KEPT: dict[str, CrmField] = {
    "hs_object_id": _FIXED,
    "createdate": _FIXED_MOMENT,
    "hs_lastmodifieddate": _FIXED_MOMENT,
}

HUBSPOT_COMPANY: dict[str, CrmField] = {
    **_HUBSPOT_KEPT,
    **dict.fromkeys(
        (
            "name", "domain", "website", "phone", "address", "city", "state", "zip", "country", "description",
            "founded_year", "linkedin_company_page", "hubspot_owner_id", "lifecyclestage",
            "industry_detail", "technologies", "funding_stage", "key_executives", "key_contacts", "competitors",
            "recent_news", "intent_topics", "enrichment_status", "enrichment_missing_fields",
        ),
        _HUBSPOT_TEXT,
    ),
    # A part of HubSpot's list of 147; any other text is refused.
    "industry": CrmField(choices=frozenset({"COMPUTER_SOFTWARE", "INDUSTRIAL_AUTOMATION", "FINANCIAL_SERVICES"})),
    **dict.fromkeys(
        ("numberofemployees", "annualrevenue", "total_money_raised", "employee_growth", "intent_score"), _NUMBER
    ),
    "enriched_at": _MOMENT,
}  # fmt: skip

HUBSPOT_DEAL: dict[str, CrmField] = {
    **_HUBSPOT_KEPT,
    **dict.fromkeys(
        (
            "dealname", "dealstage", "pipeline", "dealtype", "hubspot_owner_id", "description",
            "account_executives", "account_competitors", "account_news", "enrichment_status",
            "enrichment_missing_fields",
        ),
        _HUBSPOT_TEXT,
    ),
    "amount": _NUMBER,
    "closedate": _MOMENT,
    "enriched_at": _MOMENT,
}  # fmt: skip

_SALESFORCE_KEPT: dict[str, CrmField] = {
    "Id": _FIXED,
    "IsDeleted": CrmField("boolean", writable=False),
    "CreatedDate": _FIXED_MOMENT,
    "LastModifiedDate": _FIXED_MOMENT,
    "SystemModstamp": _FIXED_MOMENT,
    "OwnerId": CrmField(length=18),
    "Description": _LONG,
    "Enrichment_Status__c": _TEXT,
    "Enrichment_Missing_Fields__c": _LONG,
    "Enriched_At__c": _MOMENT,
}

SALESFORCE_CONTACT: dict[str, CrmField] = {
    **_SALESFORCE_KEPT,
    "Name": _FIXED,
    "AccountId": CrmField(length=18),
    "Email": CrmField(length=80),
    "FirstName": CrmField(length=40),
    "LastName": CrmField(length=80),
    "Title": CrmField(length=128),
    "Department": CrmField(length=80),
    "Phone": CrmField(length=40),
    "MobilePhone": CrmField(length=40),
    "MailingCity": CrmField(length=40),
    "MailingState": CrmField(length=80),
    "MailingCountry": CrmField(length=80),
    "LinkedIn_URL__c": _TEXT,
    "Seniority__c": _TEXT,
    "Email_Verification_Status__c": _TEXT,
}

SALESFORCE_ACCOUNT: dict[str, CrmField] = {
    **_SALESFORCE_KEPT,
    "Name": _TEXT,
    "Website": _TEXT,
    "Industry": _TEXT,
    "NumberOfEmployees": CrmField("integer"),
    "AnnualRevenue": _NUMBER,
    "Phone": CrmField(length=40),
    "BillingCity": CrmField(length=40),
    "BillingState": CrmField(length=80),
    "BillingCountry": CrmField(length=80),
    "LinkedIn_URL__c": _TEXT,
    "Funding_Stage__c": _TEXT,
    **dict.fromkeys(
        ("Founded_Year__c", "Total_Funding__c", "Employee_Growth__c", "Intent_Score__c"), _NUMBER
    ),
    **dict.fromkeys(
        (
            "Tech_Stack__c", "Key_Executives__c", "Key_Contacts__c", "Competitors__c", "Recent_News__c",
            "Intent_Topics__c",
        ),
        _LONG,
    ),
}  # fmt: skip

SALESFORCE_OPPORTUNITY: dict[str, CrmField] = {
    **_SALESFORCE_KEPT,
    "Name": CrmField(length=120),
    "AccountId": CrmField(length=18),
    "StageName": CrmField(length=40),
    "Amount": _NUMBER,
    "Probability": _NUMBER,
    "CloseDate": _TEXT,
    **dict.fromkeys(("Account_Executives__c", "Account_Competitors__c", "Account_News__c"), _LONG),
}
