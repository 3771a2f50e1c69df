#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Send two records, one a line, with curl's own signature.
set -eu
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
id() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen; }
record() {
    printf '{"eventVersion":"1.08","userIdentity":{"type":"Unknown","userName":"%s"},' "$1"
    printf '"eventTime":"%s","eventSource":"door.example.com","eventName":"OpenDoor",' "$now"
    printf '"awsRegion":"us-east-1","sourceIPAddress":"192.0.2.11","requestParameters":null,'
    printf '"responseElements":null,"eventID":"%s","readOnly":false,' "$(id)"
    printf '"eventType":"AwsApiCall","managementEvent":true,'
    printf '"recipientAccountId":"123456789012","eventCategory":"Management"}\n'
}
{ record mary; record joe; } | curl --silent --show-error --fail-with-body \
    --aws-sigv4 aws:amz:us-east-1:opentrail \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    --header 'Content-Type: application/x-ndjson' --data-binary @- \
    "${OPENTRAIL_SDK_ENDPOINT:-http://127.0.0.1:4540}/_opentrail/intake"
