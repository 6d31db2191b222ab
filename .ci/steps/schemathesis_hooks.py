"""What a schema cannot say of the management API, told to schemathesis. Used by .ci/steps/api.

Texts of formats that are our own, and refusals that depend on what there is already.
"""

import re

import schemathesis
from hypothesis import strategies as st

NAME = st.from_regex(r"[_A-Za-z][_0-9A-Za-z]{0,20}", fullmatch=True)
FIELD = st.builds(lambda name, inner: f"{name} {{ {inner} }}", NAME, NAME)
ADDRESS = st.one_of(
    st.ip_addresses().map(str),
    st.builds(lambda address, bits: f"{address}/{bits}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda address, bits: f"{address}/{bits}", st.ip_addresses(v=6), st.integers(0, 128)),
)
YEAR = st.integers(2100, 2999)

schemathesis.openapi.format(
    "graphql",
    st.builds(lambda kind, name, field: f"{kind} {name} {{ {field} }}", st.sampled_from(["query", "mutation"]), NAME, FIELD),
)
schemathesis.openapi.format(
    "graphql-schema",
    st.builds(lambda query, mutation: f"type Query {{ f{query}: String }} type Mutation {{ f{mutation}: Int }}", NAME, NAME),
)
schemathesis.openapi.format("ip-ranges", st.lists(ADDRESS, max_size=5).map(" ".join))
# What ends by itself ends in the future.
schemathesis.openapi.format("date-time", YEAR.map(lambda year: f"{year}-08-26T03:22:45.555Z"))

# Each of these is true of a request for what else there is, and not for its own form.
STATE = [
    r"slug cannot be changed",
    r"slug `[^`]*` is already taken",
    r"email `.*` is already taken",
    r"email: no user has the address `.*`",
    r"user: there is no such user",
    r"`.*` is a member already",
    r"current_password is required",
    r"current_password is not the user's password",
    # The times of earlier answers are sent too.
    r"expires_at must be a time in the future",
    # What a token may do less is held against its portal's document, and a schema must be one that is checked whole.
    r"operations: the portal has no operation .*",
    r"variables\.\w+ is declared by no operation that the token may run",
    r"variables\.\w+\.fixed: .*",
    r"variables\.\w+\.schema .*",
    r"[^,]*, which is the most: [^,]*",
    # Whether a document is valid against its organization's schema.
    r"query line \d+, column \d+: type `\w+` does not have a field `\w+`",
    r"query line \d+, column \d+: `\w+` root operation type is not defined",
]
REFUSED = re.compile(r"Validation failed: (?:{0})(?:, (?:{0}))*".format("|".join(STATE)))
CONDITION = re.compile(r"it is at revision \d+, which is not what the change depends on")


FORMAT = re.compile(r"violates `format` at \S*/properties/(\w+)")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps a failure, unless one of the two below says that there is none."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        return not refused_for_what_there_is(response)
    if kind == "AcceptedNegativeData":
        return not merely_null(str(failure.message), case.body)
    return True


def refused_for_what_there_is(response):
    """Whether a request that is as the document says was refused for what else there is."""
    try:
        message = response.json()["message"]
    except (ValueError, KeyError):
        return False
    known = {412: CONDITION, 422: REFUSED}.get(response.status_code)
    return known is not None and known.fullmatch(message) is not None


def merely_null(message, body):
    """Whether what is said to break a format is null, which no format is about and the type allows."""
    broken = FORMAT.search(message)
    return broken is not None and isinstance(body, dict) and body.get(broken[1], "") is None
