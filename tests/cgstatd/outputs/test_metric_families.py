"""A metric names the fields that it is made of: a scrape reads these and no others."""

from __future__ import annotations

import pytest

from cgroupfs import FIELDS
from cgstatd.outputs.metric_families import CGROUP, EXPORTED_FIELDS, FAMILIES, TOTAL, Family

OF_FIELDS = [family for family in FAMILIES if family.rows in (CGROUP, TOTAL)]


@pytest.mark.parametrize("family", OF_FIELDS, ids=[family.name for family in OF_FIELDS])
def test_a_metric_of_a_cgroup_needs_the_fields_that_it_names(family: Family) -> None:
    assert family.fields and family.value(dict.fromkeys(family.fields)) is None
    for left_out in family.fields:
        with pytest.raises(KeyError, match=left_out):
            family.value({name: 1 for name in family.fields if name != left_out})


def test_what_is_exported_is_in_the_table_and_once() -> None:
    assert set(EXPORTED_FIELDS) <= set(FIELDS) and len(set(EXPORTED_FIELDS)) == len(EXPORTED_FIELDS) > 20
    assert [family.name for family in FAMILIES if family.fields and family not in OF_FIELDS] == []
