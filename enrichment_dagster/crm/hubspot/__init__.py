"""HubSpot, over CRM v3."""
