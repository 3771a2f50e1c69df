# SPDX-License-Identifier: Apache-2.0
"""The query protocol of SQS: its model has the names of JSON alone, older clients send others.

Source: Amazon SQS API Reference of 2012-11-05, the examples of SetQueueAttributes ("Attribute.1.Name"),
TagQueue ("Tag.1.Key"), AddPermission and SendMessage.
"""

from collections.abc import Container

_MEMBERS = {
    "AWSAccountId": ("AWSAccountIds",),
    "ActionName": ("Actions",),
    "Attribute": ("Attributes",),
    "AttributeName": ("AttributeNames",),
    "MessageAttribute": ("MessageAttributes",),
    "MessageAttributeName": ("MessageAttributeNames",),
    "MessageSystemAttribute": ("MessageSystemAttributes",),
    "MessageSystemAttributeName": ("MessageSystemAttributeNames",),
    "Tag": ("Tags", "tags"),
    "TagKey": ("TagKeys",),
}
"""Name of a field -> those of the model's member; CreateQueue's tags are its only ones in small letters."""
_PARTS = {"Key": "key", "Name": "key", "Value": "value"}
"""Of an entry of a map; elements of lists have no parts."""


def as_modelled(path: list[str], members: Container[str]) -> list[str]:
    """Return a field's name, cut at its dots, as the model has it; ``members`` are the operation's."""
    name = next((each for each in _MEMBERS.get(path[0], ()) if each in members), "")
    if not name:
        return path
    number, part, rest = path[1:2], path[2:3], path[3:]
    return [name, *number, *(_PARTS.get(each, each) for each in part), *rest]
