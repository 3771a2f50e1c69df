# SPDX-License-Identifier: Apache-2.0
"""Records as hypothesis draws them: fields absent, empty, or of another type than they should be."""

import hypothesis.strategies as st
from support.history_oracle import record

from opentrail.history.namings import NAMINGS

texts = st.sampled_from(["", "a", "root", "x:y", "arn:aws:iam::1:role/a/b", "é", "a|b"])
odd: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.just({}) | st.lists(texts, max_size=2)
)
maybe_text = texts | texts | odd
identities = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Root", "IAMUser", "AssumedRole", "FederatedUser"]) | odd,
        "arn": maybe_text,
        "principalId": maybe_text,
        "accountId": maybe_text,
        "accessKeyId": maybe_text,
        "userName": maybe_text,
        "sessionContext": st.fixed_dictionaries(
            {}, optional={"sessionIssuer": st.dictionaries(st.just("accountId"), maybe_text)}
        )
        | odd,
    },
)
NAMED = {name: source for source, naming in NAMINGS.items() for name in naming.named}
arn = "arn:aws:sagemaker:us-east-1:111122223333:endpoint/e"
parts = (
    st.dictionaries(
        st.sampled_from(["name", "Id", "endpointName", "endpointArn", "userName", "other"]),
        st.sampled_from([arn, "e", ["e", "f"], {"a": arn}, 7, None]),
        max_size=3,
    )
    | maybe_text
)
listed = st.lists(st.fixed_dictionaries({}, optional={"type": texts, "ARN": texts}), max_size=2)
records = st.builds(
    record,
    userIdentity=identities | odd,
    eventSource=st.sampled_from([*[*NAMINGS][:4], *NAMED.values(), "sagemaker.amazonaws.com", "x"])
    | odd,
    eventName=maybe_text | st.sampled_from([*NAMED]),
    awsRegion=maybe_text,
    readOnly=st.sampled_from([True, False, None, "true", "x", ...]),
    managementEvent=st.sampled_from([True, False, None, "false", ...]),
    eventCategory=st.sampled_from(["Data", "Management", ...]) | odd,
    recipientAccountId=st.just(...) | maybe_text,
    requestParameters=parts,
    responseElements=parts,
    resources=st.just(...) | listed | odd,
    errorCode=maybe_text,
)
