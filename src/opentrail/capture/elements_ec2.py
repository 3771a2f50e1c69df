# SPDX-License-Identifier: Apache-2.0
"""EC2's requestParameters and responseElements, which no casing of the model's names gives.

Delivered records have two forms. Operations from before 2015 are shown as their SOAP messages:
``instancesSet: {items: [{instanceId: …}]}``. Later ones are shown as the XML of their messages,
inside one key: ``DescribeHostsRequest: {MaxResults: 500}``, where the elements of a list carry
``tag``, their number. Source: delivered records of 86 operations; EC2's SOAP messages.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from opentrail.aws.model import Member, Operation, Shape
from opentrail.capture.call import Call
from opentrail.capture.element_values import LEFT_OUT
from opentrail.capture.elements import (
    Compiler,
    Element,
    Elements,
    Finish,
    Object,
    Structure,
    Style,
)

XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"
"""What answers to the newer form carry: the one version that EC2 has."""

_SOAP_WORDS = """
AcceptVpcPeeringConnection AllocateAddress AssignPrivateIpAddresses AssociateAddress
AssociateDhcpOptions AssociateRouteTable AttachClassicLinkVpc AttachInternetGateway
AttachNetworkInterface AttachVolume AttachVpnGateway AuthorizeSecurityGroupEgress
AuthorizeSecurityGroupIngress BundleInstance CancelBundleTask CancelConversionTask CancelExportTask
CancelReservedInstancesListing CancelSpotInstanceRequests ConfirmProductInstance CopyImage
CopySnapshot CreateCustomerGateway CreateDhcpOptions CreateImage CreateInstanceExportTask
CreateInternetGateway CreateKeyPair CreateNetworkAcl CreateNetworkAclEntry CreateNetworkInterface
CreatePlacementGroup CreateReservedInstancesListing CreateRoute CreateRouteTable
CreateSecurityGroup CreateSnapshot CreateSpotDatafeedSubscription CreateSubnet CreateTags
CreateVolume CreateVpc CreateVpcPeeringConnection CreateVpnConnection CreateVpnConnectionRoute
CreateVpnGateway DeleteCustomerGateway DeleteDhcpOptions DeleteInternetGateway DeleteKeyPair
DeleteNetworkAcl DeleteNetworkAclEntry DeleteNetworkInterface DeletePlacementGroup DeleteRoute
DeleteRouteTable DeleteSecurityGroup DeleteSnapshot DeleteSpotDatafeedSubscription DeleteSubnet
DeleteTags DeleteVolume DeleteVpc DeleteVpcPeeringConnection DeleteVpnConnection
DeleteVpnConnectionRoute DeleteVpnGateway DeregisterImage DescribeAccountAttributes
DescribeAddresses DescribeAvailabilityZones DescribeBundleTasks DescribeClassicLinkInstances
DescribeConversionTasks DescribeCustomerGateways DescribeDhcpOptions DescribeExportTasks
DescribeImageAttribute DescribeImages DescribeInstanceAttribute DescribeInstanceStatus
DescribeInstances DescribeInternetGateways DescribeKeyPairs DescribeNetworkAcls
DescribeNetworkInterfaceAttribute DescribeNetworkInterfaces DescribePlacementGroups
DescribeRegions DescribeReservedInstances DescribeReservedInstancesListings
DescribeReservedInstancesModifications DescribeReservedInstancesOfferings DescribeRouteTables
DescribeSecurityGroups DescribeSnapshotAttribute DescribeSnapshots
DescribeSpotDatafeedSubscription DescribeSpotInstanceRequests DescribeSpotPriceHistory
DescribeSubnets DescribeTags DescribeVolumeAttribute DescribeVolumeStatus DescribeVolumes
DescribeVpcAttribute DescribeVpcClassicLink DescribeVpcPeeringConnections DescribeVpcs
DescribeVpnConnections DescribeVpnGateways DetachClassicLinkVpc DetachInternetGateway
DetachNetworkInterface DetachVolume DetachVpnGateway DisableVgwRoutePropagation
DisableVpcClassicLink DisassociateAddress DisassociateRouteTable EnableVgwRoutePropagation
EnableVolumeIO EnableVpcClassicLink GetConsoleOutput GetPasswordData ImportInstance ImportKeyPair
ImportVolume ModifyImageAttribute ModifyInstanceAttribute ModifyNetworkInterfaceAttribute
ModifyReservedInstances ModifySnapshotAttribute ModifySubnetAttribute ModifyVolumeAttribute
ModifyVpcAttribute MonitorInstances PurchaseReservedInstancesOffering RebootInstances
RegisterImage RejectVpcPeeringConnection ReleaseAddress ReplaceNetworkAclAssociation
ReplaceNetworkAclEntry ReplaceRoute ReplaceRouteTableAssociation ReportInstanceStatus
RequestSpotInstances ResetImageAttribute ResetInstanceAttribute ResetNetworkInterfaceAttribute
ResetSnapshotAttribute RevokeSecurityGroupEgress RevokeSecurityGroupIngress RunInstances
StartInstances StopInstances TerminateInstances UnassignPrivateIpAddresses UnmonitorInstances
"""
SOAP_OPERATIONS = frozenset(_SOAP_WORDS.split())
"""Operations of the API of 2014: all that delivered records show in the older form are among them,
and none that they show in the newer one."""

_ENVELOPES = MappingProxyType({"DeleteTransitGatewayVpcAttachment": "DelTGwVpcAttachReq"})
"""Envelopes that are not ``<operation>Request``."""

_REQUEST_LISTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AllocationIds": ("allocationIdsSet", "allocationId"),
        "AttributeNames": ("accountAttributeNameSet", "attributeName"),
        "BundleIds": ("bundlesSet", "bundleId"),
        "ConversionTaskIds": ("conversionTaskIdSet", "conversionTaskId"),
        "CustomerGatewayIds": ("customerGatewaySet", "customerGatewayId"),
        "DhcpConfigurations": ("dhcpConfigurationSet", ""),
        "DhcpOptionsIds": ("dhcpOptionsSet", "dhcpOptionsId"),
        "ExecutableUsers": ("executableBySet", "user"),
        "ExportTaskIds": ("exportTaskIdSet", "exportTaskId"),
        "Filters": ("filterSet", ""),
        "GroupIds": ("securityGroupIdSet", "groupId"),
        "GroupNames": ("securityGroupSet", "groupName"),
        "Groups": ("groupSet", "groupId"),
        "ImageIds": ("imagesSet", "imageId"),
        "InstanceIds": ("instancesSet", "instanceId"),
        "InstanceTypes": ("instanceTypeSet", "instanceType"),
        "Instances": ("instancesSet", "instanceId"),
        "InternetGatewayIds": ("internetGatewayIdSet", "internetGatewayId"),
        "Ipv6Addresses": ("ipv6AddressesSet", ""),
        "KeyNames": ("keySet", "keyName"),
        "KeyPairIds": ("keyPairIdSet", "keyPairId"),
        "NetworkAclIds": ("networkAclIdSet", "networkAclId"),
        "NetworkInterfaceIds": ("networkInterfaceIdSet", "networkInterfaceId"),
        "NetworkInterfaces": ("networkInterfaceSet", ""),
        "OwnerIds": ("ownersSet", "owner"),
        "Owners": ("ownersSet", "owner"),
        "PrivateIpAddresses": ("privateIpAddressesSet", "privateIpAddress"),
        "PublicIps": ("publicIpsSet", "publicIp"),
        "RegionNames": ("regionSet", "regionName"),
        "ReservedInstancesIds": ("reservedInstancesSet", "reservedInstancesId"),
        "Resources": ("resourcesSet", "resourceId"),
        "RestorableByUserIds": ("sharedUsersSet", "user"),
        "RouteTableIds": ("routeTableIdSet", "routeTableId"),
        "SecurityGroupIds": ("groupSet", "groupId"),
        "SecurityGroups": ("groupSet", "groupName"),
        "SnapshotIds": ("snapshotSet", "snapshotId"),
        "SpotInstanceRequestIds": ("spotInstanceRequestIdSet", "spotInstanceRequestId"),
        "SubnetIds": ("subnetSet", "subnetId"),
        "TagSpecifications": ("tagSpecificationSet", ""),
        "Values": ("valueSet", "value"),
        "VolumeIds": ("volumeSet", "volumeId"),
        "VpcIds": ("vpcSet", "vpcId"),
        "VpcPeeringConnectionIds": ("vpcPeeringConnectionIdSet", "vpcPeeringConnectionId"),
        "VpnConnectionIds": ("vpnConnectionSet", "vpnConnectionId"),
        "VpnGatewayIds": ("vpnGatewaySet", "vpnGatewayId"),
        "ZoneIds": ("availabilityZoneIdSet", "zoneId"),
        "ZoneNames": ("availabilityZoneSet", "zoneName"),
    }
)
"""Lists of requests, by model name: their names in SOAP, and the key of a bare element."""

_OWN_REQUEST_LISTS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "DescribePlacementGroups": {
            "GroupIds": ("placementGroupIdSet", "groupId"),
            "GroupNames": ("placementGroupSet", "groupName"),
        },
        "CreateTags": {"Tags": ("tagSet", "")},
        "DeleteTags": {"Tags": ("tagSet", "")},
    }
)
_PLAIN_LISTS = frozenset({"Tags"})
"""Lists that a request has as JSON arrays: the tags of a tagSpecificationSet."""
_AROUND = MappingProxyType({"DescribeVpcClassicLink": "item", "privateIpAddressesSet": "item"})
"""Requests of operations, and lists of answers, whose elements are not under ``items``."""
_ALWAYS = MappingProxyType({"DescribeAccountAttributes": ("filterSet",)})
"""Sets that a reading request always shows, though its model has no such member."""
_IF_SENT = MappingProxyType({"DescribeRegions": ("filterSet",)})
_TRUE_TOO = frozenset({"CreateSecurityGroup"})
"""Operations that answer ``return`` beside members, though their model does not say so."""
_INSTANCE_MEMBERS = ("imageId", "minCount", "maxCount", "keyName")
"""Members of RunInstances that its SOAP message has in ``instancesSet``."""
_PLACEMENT = ("availabilityZone", "tenancy")
"""Members of RunInstances' placement that its SOAP message has at the top."""
_RUN_INSTANCES = frozenset({"instancesSet", *_PLACEMENT})


class Items(Elements):
    """Writes a list as ``{"items": […]}``, an empty one as ``{}``; bare elements under ``key``."""

    __slots__ = ("around", "key")

    def __init__(self, key: str = "", around: str = "items") -> None:
        super().__init__()
        self.key = key
        self.around = around

    def __call__(self, value: object) -> object:
        """Return the object."""
        found = self.written(value)
        if found is None:
            return LEFT_OUT
        if self.key:
            found = [item if type(item) is dict else {self.key: item} for item in found]
        return {self.around: found} if found else {}

    def opened(self, shown: object) -> tuple[list[str], list[object]]:
        """See ``Elements``."""
        found = shown.get(self.around, []) if isinstance(shown, dict) else []
        keys = [self.around] if found else []
        if self.key:
            bare = [item for item in found if isinstance(item, dict) and list(item) == [self.key]]
            return [*keys, *(self.key for _ in bare)], [x for x in found if x not in bare]
        return keys, found


class Tagged(Elements):
    """Writes a list as EC2's XML of a request is shown: each element with its number."""

    __slots__ = ()

    def __call__(self, value: object) -> object:
        """Return the one element, or an array of them."""
        found = self.written(value)
        if not found:
            return LEFT_OUT
        shown = [
            {**item, "tag": at} if isinstance(item, dict) else {"content": item, "tag": at}
            for at, item in enumerate(found, 1)
        ]
        return shown[0] if len(shown) == 1 else shown

    def opened(self, shown: object) -> tuple[list[str], list[object]]:
        """See ``Elements``."""
        found = [item for item in _several(shown) if isinstance(item, dict)]
        own = [key for item in found for key in ("content", "tag") if key in item]
        rest = [{k: v for k, v in item.items() if k not in {"content", "tag"}} for item in found]
        return own, [*rest]


class Item(Elements):
    """Writes a list as EC2's XML of an answer is shown: what is alone is no array."""

    __slots__ = ()

    def __call__(self, value: object) -> object:
        """Return ``{"item": …}``, or "" for an empty list."""
        found = self.written(value)
        if found is None:
            return LEFT_OUT
        if not found:
            return ""
        return {"item": found[0] if len(found) == 1 else found}

    def opened(self, shown: object) -> tuple[list[str], list[object]]:
        """See ``Elements``."""
        if not isinstance(shown, dict) or "item" not in shown:
            return [], []
        return ["item"], _several(shown["item"])


def _several(shown: object) -> list[object]:
    return shown if isinstance(shown, list) else [shown]


class _SoapRequest(Compiler):
    """The older form of a request."""

    def __init__(self, style: Style, operation: str) -> None:
        super().__init__(style)
        self._lists = {**_REQUEST_LISTS, **_OWN_REQUEST_LISTS.get(operation, {})}
        self._around = _AROUND.get(operation, "items")

    def spell(self, member: Member) -> str:
        if own := self.style.spelling.get(member.name):
            return own
        if member.shape.kind == "list" and member.name in self._lists:
            return self._lists[member.name][0]
        if member.name in _PLAIN_LISTS:
            return "tags"
        name = member.query_name or member.wire
        return name[:1].lower() + name[1:]

    def list_of(self, member: Member) -> Elements:
        if member.name in self._lists:
            return Items(self._lists[member.name][1], self._around)
        if member.name in _PLAIN_LISTS:
            return Elements()
        bare = member.shape.members["member"].shape.kind != "structure"
        return Items(self.spell(member).removesuffix("Set") if bare else "")


class _SoapAnswer(Compiler):
    """The older form of an answer."""

    def spell(self, member: Member) -> str:
        own = self.style.spelling.get(member.name)
        return own or ("_return" if member.wire == "return" else member.wire)

    def list_of(self, member: Member) -> Elements:
        return Items(around=_AROUND.get(member.wire, "items"))


class _XmlRequest(Compiler):
    """The newer form of a request: names as on the wire."""

    def spell(self, member: Member) -> str:
        return member.query_name or member.wire[:1].upper() + member.wire[1:]

    def list_of(self, member: Member) -> Elements:
        del member
        return Tagged()


class _XmlAnswer(Compiler):
    """The newer form of an answer."""

    def spell(self, member: Member) -> str:
        return member.wire

    def list_of(self, member: Member) -> Elements:
        del member
        return Item()


def request(operation: Operation, style: Style) -> Element:
    """Return what writes the requestParameters of ``operation``."""
    if operation.name not in SOAP_OPERATIONS:
        name = _ENVELOPES.get(operation.name, f"{operation.name}Request")
        return Element(_top(_XmlRequest(style), operation.input), _in_envelope(name), name)
    made = _top(_SoapRequest(style, operation.name), operation.input)
    if operation.name == "RunInstances":
        return Element(made, _run_instances, added=_RUN_INSTANCES)
    if operation.name.startswith("Describe"):
        always = _ALWAYS.get(operation.name, ())
        names = [name for name, write in made.members.values() if isinstance(write, Items)]
        sets = [*always, *(n for n in names if n not in _IF_SENT.get(operation.name, ()))]
        return Element(made, _all_sets(sets), added=frozenset(always))
    return Element(made)


def answer(operation: Operation, style: Style) -> Element:
    """Return what writes the responseElements of ``operation``: never nothing, for a write."""
    if operation.name in SOAP_OPERATIONS:
        made = _top(_SoapAnswer(style), operation.output)
        done = not made.members or operation.name in _TRUE_TOO
        added = frozenset({"requestId", "_return"} if done else {"requestId"})
        return Element(made, _done if done else _with_request_id, added=added)
    name = f"{operation.name}Response"
    made = _top(_XmlAnswer(style), operation.output)
    return Element(made, _answer_in_envelope(name), name, added=frozenset({"xmlns", "requestId"}))


def _top(compiler: Compiler, shape: Shape | None) -> Structure:
    return Structure() if shape is None else compiler.top(shape, None)


def _in_envelope(name: str) -> Finish:
    def finish(shown: Object, call: Call) -> Object:
        del call
        return {name: shown or ""}

    return finish


def _answer_in_envelope(name: str) -> Finish:
    def finish(shown: Object, call: Call) -> Object:
        return {name: {"xmlns": XMLNS, "requestId": call.given_request_id, **shown}}

    return finish


def _with_request_id(shown: Object, call: Call) -> Object:
    return {"requestId": call.given_request_id, **shown}


def _done(shown: Object, call: Call) -> Object:
    """Say what EC2 answers when it has nothing to say."""
    return {"requestId": call.given_request_id, "_return": True, **shown}


def _all_sets(names: Sequence[str]) -> Finish:
    """Return what puts an empty object where a reading request names nothing."""

    def finish(shown: Object, call: Call) -> Object:
        del call
        for name in names:
            shown.setdefault(name, {})
        return shown

    return finish


def _run_instances(shown: Object, call: Call) -> Object:
    del call
    first = {name: shown.pop(name) for name in _INSTANCE_MEMBERS if name in shown}
    placement = shown.get("placement")
    if isinstance(placement, dict):
        shown |= {name: placement.pop(name) for name in _PLACEMENT if name in placement}
        if not placement:
            del shown["placement"]
    return {"instancesSet": {"items": [first]}, **shown} if first else shown
