"""What those who watch are shown of an event that has ended."""

from support.builders import a_value, an_enrichment

from enrichment_dagster.store.ended import ended_since


async def test_the_values_that_count_are_told_by_provider_and_the_others_are_not(rig):
    lease = await rig.leased(1)
    (result,) = rig.results(lease)
    values = (a_value("title"), a_value("seniority", "vp"), a_value("email", "a@b.co", provider="hubspot"))
    others = (a_value("title", "Chief", provider="clearbit"), a_value("email", "a@b.co"))
    await rig.conclude(lease, [an_enrichment(result.item, values=values, alternatives=others)])
    (event,) = ended_since(rig.ops, 0)
    assert event.fields_by_provider == {"apollo": 2, "hubspot": 1}
    assert ended_since(rig.ops, event.rev) == []
