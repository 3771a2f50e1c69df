# SPDX-License-Identifier: Apache-2.0
"""Which calls of EBS, Verified Permissions, Simple Workflow and Redshift are data events, and of what."""

from support.calls import ACCOUNT, REGION, called

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


def snapshot(name: str) -> dict[str, str]:
    place = f"arn:aws:ec2:{REGION}::snapshot/{name}"
    return {"accountId": ACCOUNT, "type": "AWS::EC2::Snapshot", "ARN": place}


def test_a_snapshot_is_started_and_completed_by_management_events():
    answer = b'{"SnapshotId":"snap-1","Status":"pending","StartTime":1593818846}'
    started = called("ebs", "StartSnapshot", {"VolumeSize": 8}, answer)
    completed = called("ebs", "CompleteSnapshot", {"SnapshotId": "snap-1", "ChangedBlocksCount": 5})
    assert started["eventCategory"] == completed["eventCategory"] == "Management"
    assert started["responseElements"]["startTime"] == "Jul 3, 2020 11:27:26 PM"
    assert completed["requestParameters"] == {"snapshotId": "snap-1", "changedBlocksCount": 5}


def test_blocks_of_snapshots_are_data_events():
    record = called("ebs", "ListChangedBlocks", {"FirstSnapshotId": "a", "SecondSnapshotId": "b"})
    assert record["eventCategory"] == "Data"
    assert record["resources"] == [snapshot("a"), snapshot("b")]
    params = {"SnapshotId": "a", "BlockIndex": 1, "BlockToken": "SECRET"}
    record = called("ebs", "GetSnapshotBlock", params)
    shown = {"snapshotId": "a", "blockIndex": 1, "blockToken": HIDDEN}
    assert (record["requestParameters"], record["resources"]) == (shown, [snapshot("a")])


def test_a_policy_store_is_of_no_region():
    store = {
        "accountId": ACCOUNT,
        "type": "AWS::VerifiedPermissions::PolicyStore",
        "ARN": f"arn:aws:verifiedpermissions::{ACCOUNT}:policy-store/PS",
    }
    params = {"policyStoreId": "PS"}
    asked = called(
        "verifiedpermissions", "IsAuthorizedWithToken", {**params, "accessToken": "SECRET"}
    )
    read = called("verifiedpermissions", "GetSchema", params)
    assert (asked["eventCategory"], read["eventCategory"]) == ("Data", "Management")
    assert asked["resources"] == read["resources"] == [store]
    assert asked["requestParameters"] == read["requestParameters"] == params


def test_what_was_decided_is_beside_the_question():
    params = {"policyStoreId": "PS", "context": {"contextMap": {"a": {"string": "SECRET"}}}}
    answer = b'{"decision":"DENY","determiningPolicies":[],"errors":[]}'
    record = called("verifiedpermissions", "IsAuthorized", params, answer)
    assert record["additionalEventData"] == {"decision": "DENY"}
    assert record["responseElements"] is None
    assert record["requestParameters"] == {"policyStoreId": "PS"}


def test_a_data_event_names_what_it_acts_on_whatever_the_member_is_called():
    record = called("swf", "CountPendingActivityTasks", {"domain": "d", "taskList": {"name": "t"}})
    assert record["requestParameters"] == {"domain": "d"}


def test_a_statement_for_redshift_says_who_ran_one_where_and_not_what():
    params = {"ClusterIdentifier": "c", "Database": "d", "DbUser": "u", "Sql": "SECRET"}
    values = [{"name": "n", "value": "SECRET"}]
    answer = (
        b'{"ClusterIdentifier":"c","CreatedAt":1597859758,"Database":"d","DbUser":"u","Id":"i"}'
    )
    record = called("redshift-data", "ExecuteStatement", {**params, "Parameters": values}, answer)
    shown = {"clusterIdentifier": "c", "database": "d", "dbUser": "u"}
    assert record["requestParameters"] == {**shown, "sql": "***OMITTED***"}
    created = "Aug 19, 2020 5:55:58 PM"
    assert record["responseElements"] == {**shown, "createdAt": created, "id": "i"}
    (cluster,) = record["resources"]
    assert cluster["ARN"] == f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:c"
    assert record["eventCategory"] == "Data"


def test_an_inference_router_is_named_and_what_it_is_asked_is_not():
    headers = {"x-amzn-sagemaker-invoked-routed-resource-arn": "arn:aws:sagemaker:::endpoint/e"}
    record = called(
        "sagemaker-inference-router-runtime",
        "InvokeInferenceRouter",
        {"InferenceRouterName": "r", "CustomAttributes": "SECRET", "Body": b"SECRET"},
        b"SECRET",
        response_headers=headers,
    )
    assert (record["eventSource"], record["eventVersion"]) == ("sagemaker.amazonaws.com", "1.11")
    assert record["requestParameters"] == {"inferenceRouterName": "r", "customAttributes": HIDDEN}
    assert record["responseElements"] == {
        "invokedRoutedResourceArn": "arn:aws:sagemaker:::endpoint/e"
    }
    gateway = called(
        "sagemaker-gateway-runtime",
        "InvokeGlobalInferenceGateway",
        {"GatewayId": "g", "CustomerIdentityToken": "SECRET", "Body": b"SECRET"},
        b"SECRET",
    )
    assert gateway["requestParameters"] == {"gatewayId": "g", "customerIdentityToken": HIDDEN}
    assert gateway["responseElements"] is None
