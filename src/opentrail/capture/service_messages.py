# SPDX-License-Identifier: Apache-2.0
"""SNS, SQS, SES, EventBridge, CloudWatch Logs and RUM: messages are the customer's data.

Source: CloudTrail User Guide, "Logging data events"; EventBridge User Guide, "Logging API calls using
AWS CloudTrail"; CloudWatch User Guide; delivered records. Each row names the members to keep.
"""

from types import MappingProxyType

from opentrail.capture.rules import Casing, Named, OperationRules, ServiceRules, Times


def _only(*names: str, data: Named | None = None) -> OperationRules:
    return OperationRules(keep=frozenset(names), data=data, response=False)


_TOPIC = Named("AWS::SNS::Topic", ("TopicArn",))
_ENDPOINT = Named("AWS::SNS::PlatformEndpoint", ("EndpointArn",))
_TARGETS = (
    _TOPIC,
    Named("AWS::SNS::Topic", ("TargetArn",), pattern="[^/]*\\Z"),
    Named("AWS::SNS::PlatformEndpoint", ("TargetArn",), pattern=".*:endpoint/"),
)
SNS = ServiceRules(
    secret_keys=frozenset({"PlatformCredential"}),  # the key of a service for mobile messages
    operations=MappingProxyType(
        {
            "Publish": OperationRules(
                hide=frozenset({"Message", "MessageAttributes", "Subject"}),
                data=_TOPIC,
                named=_TARGETS,
            ),
            "PublishBatch": _only("TopicArn", data=_TOPIC),
            "GetEndpointAttributes": OperationRules(data=_ENDPOINT),
            "SetEndpointAttributes": _only("EndpointArn", data=_ENDPOINT),
            "DeleteEndpoint": OperationRules(data=_ENDPOINT),
        }
    ),
)

_QUEUE = Named(
    "AWS::SQS::Queue", ("QueueUrl",), "arn:{partition}:sqs:{region}:{account}:{name}", url=True
)
_MESSAGES = (
    "ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessage DeleteMessageBatch"
    " ReceiveMessage SendMessageBatch"
)
SQS = ServiceRules(
    operations=MappingProxyType(
        {
            **dict.fromkeys(_MESSAGES.split(), _only("QueueUrl", data=_QUEUE)),
            # Records of AWS show checksums of the message, too: of a short one they tell what it is.
            "SendMessage": OperationRules(
                hide=frozenset({"MessageAttributes", "MessageBody", "MessageSystemAttributes"}),
                data=_QUEUE,
                answer_keep=frozenset({"MessageId", "SequenceNumber"}),
            ),
        }
    )
)

# Letters are hidden, as in delivered records, and so is what is put into a template.
_FILLED_IN = frozenset({"ReplacementTemplateData", "TemplateData"})
_ADDRESSES = frozenset({"BccAddresses", "CcAddresses", "ToAddresses"})
_SENDER = "arn:{partition}:ses:{region}:{account}:identity/{name}"
_SENT = OperationRules(data=Named("AWS::SES::EmailIdentity", ("Source",), _SENDER), response=False)
_SENT_RAW = OperationRules(data=_SENT.data, hide=frozenset({"Destinations"}), response=False)
_SENT_V2 = OperationRules(
    data=Named("AWS::SES::EmailIdentity", ("FromEmailAddress",), _SENDER), response=False
)
SES = ServiceRules(
    hide=_ADDRESSES | _FILLED_IN | {"DefaultTemplateData", "Message", "RawMessage"},
    operations=MappingProxyType(
        {
            **dict.fromkeys(("SendBulkTemplatedEmail", "SendEmail", "SendTemplatedEmail"), _SENT),
            "SendRawEmail": _SENT_RAW,
        }
    ),
)
SES_V2 = ServiceRules(
    hide=_ADDRESSES | _FILLED_IN | {"Content", "DefaultContent"},
    operations=MappingProxyType(dict.fromkeys(("SendBulkEmail", "SendEmail"), _SENT_V2)),
)

_ORIGIN = Named(
    "AWS::SMSVoice::OriginationIdentity",
    ("OriginationIdentity",),
    "arn:{partition}:sms-voice:{region}:{account}:phone-number/{name}",
    pattern="(?:[^:]*:){5}(?:phone-number/phone-|(?!phone-number/))",
)
"""The id of a phone number, or any ARN; of what else may stand there no record is known."""
_SENT_SMS = OperationRules(
    keep=frozenset({"DestinationPhoneNumber", "MessageBody", "OriginationIdentity"}),
    hide=frozenset({"MessageBody"}),
    data=_ORIGIN,
)
SMS_VOICE = ServiceRules(
    event_version="1.10",
    operations=MappingProxyType(
        dict.fromkeys(("SendMediaMessage", "SendTextMessage", "SendVoiceMessage"), _SENT_SMS)
    ),
)

LOGS = ServiceRules(
    event_version="1.11",
    api_version="20140328",
    operations=MappingProxyType({"PutLogEvents": _only("logGroupName", "logStreamName")}),
)
_BUS = Named(
    "AWS::Events::EventBus",
    ("Entries", "EventBusName"),
    "arn:{partition}:events:{region}:{account}:event-bus/{name}",
    default="default",
)
_PARTNER = Named(
    "AWS::Events::EventSource",
    ("Entries", "Source"),
    "arn:{partition}:events:{region}::event-source/{name}",
)
_DETAIL = frozenset({"Detail"})
EVENTS = ServiceRules(
    event_version="1.11",
    api_version="2015-10-07",
    times=Times.JAVA_COMMA,
    operations=MappingProxyType(
        {
            "PutEvents": OperationRules(hide=_DETAIL, data=_BUS),
            "PutPartnerEvents": OperationRules(hide=_DETAIL, data=_PARTNER),
        }
    ),
)
RUM = ServiceRules(
    casing=Casing.RAW,
    times=Times.JAVA_COMMA,
    operations=MappingProxyType(
        {
            # Of the data plane's own endpoint, whose names and times are others.
            "PutRumEvents": OperationRules(
                drop=frozenset({"metadata", "details"}),
                spelling=MappingProxyType(
                    {
                        name: name[:1].lower() + name[1:]
                        for name in (
                            "Id",
                            "BatchId",
                            "AppMonitorDetails",
                            "UserDetails",
                            "RumEvents",
                            "Alias",
                        )
                    }
                ),
                response=False,
                data=Named(
                    "AWS::RUM::AppMonitor",
                    ("Id",),
                    "arn:{partition}:rum:{region}:{account}:appmonitor/{name}",
                ),
            )
        }
    ),
)
