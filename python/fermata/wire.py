"""Protocol buffers as plain values, by the descriptors of the generated messages.

A message is a dict in the order of field numbers; text is bytes, since paths need not be UTF-8, and
enumerations are numbers, known or not: what google.protobuf's own parser does not preserve.
"""
import struct
from google.protobuf.descriptor import FieldDescriptor as F

__all__ = ["WireError", "parse", "serialize"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 100

WIRE_TYPES = {F.TYPE_STRING: BYTES, F.TYPE_BYTES: BYTES, F.TYPE_MESSAGE: BYTES, F.TYPE_FIXED64: FIXED64,
              F.TYPE_SFIXED64: FIXED64, F.TYPE_FIXED32: FIXED32, F.TYPE_SFIXED32: FIXED32}
ZIGZAG = (F.TYPE_SINT32, F.TYPE_SINT64)
FIXED = {F.TYPE_FIXED64: "<Q", F.TYPE_SFIXED64: "<q", F.TYPE_FIXED32: "<I", F.TYPE_SFIXED32: "<i"}
# type: (bits, signed)
INTEGERS = {F.TYPE_INT32: (32, True), F.TYPE_SINT32: (32, True), F.TYPE_ENUM: (32, True),
            F.TYPE_SFIXED32: (32, True), F.TYPE_UINT32: (32, False), F.TYPE_FIXED32: (32, False),
            F.TYPE_INT64: (64, True), F.TYPE_SINT64: (64, True), F.TYPE_SFIXED64: (64, True),
            F.TYPE_UINT64: (64, False), F.TYPE_FIXED64: (64, False)}


class WireError(ValueError):
    """The bytes are not such a message, or the values do not make one."""


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number ends too early")
        byte = data[at]
        value |= (byte & 0x7f) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value & (1 << 64) - 1, at


def _raw(wire_type, data, at):
    """The value at that place as it is in the wire format, and what follows it."""
    if wire_type == VARINT:
        return _varint(data, at)
    if wire_type == BYTES:
        size, at = _varint(data, at)
    elif wire_type in (FIXED32, FIXED64):
        size = 4 if wire_type == FIXED32 else 8
    else:
        raise WireError(f"wire type {wire_type}")
    if size > len(data) - at:
        raise WireError("a field ends too early")
    return data[at:at + size], at + size


def _signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def _integer(kind, raw):
    if kind == F.TYPE_BOOL:
        return raw != 0
    if kind in FIXED:
        return struct.unpack(FIXED[kind], raw)[0]
    bits, signed = INTEGERS[kind]
    if kind in ZIGZAG:
        return raw >> 1 ^ -(raw & 1)
    return _signed(raw, bits) if signed else raw & (1 << bits) - 1


def _value(field, raw, depth):
    if field.type == F.TYPE_MESSAGE:
        return parse(field.message_type, raw, depth + 1)
    if field.type in (F.TYPE_STRING, F.TYPE_BYTES):
        return raw
    return _integer(field.type, raw)


def _unpack(field, raw):
    """A packed list."""
    at, wire_type = 0, WIRE_TYPES.get(field.type, VARINT)
    while at < len(raw):
        one, at = _raw(wire_type, raw, at)
        yield _integer(field.type, one)


def parse(descriptor, data, depth=0):
    """The fields that are present, in the order of their numbers; unknown ones are passed over."""
    found, at = {}, 0
    if depth > MAX_DEPTH:
        raise WireError("messages nest too deep")
    while at < len(data):
        tag, at = _varint(data, at)
        raw, at = _raw(tag & 7, data, at)
        field = descriptor.fields_by_number.get(tag >> 3)
        if field is None:
            continue
        wire_type = WIRE_TYPES.get(field.type, VARINT)
        repeated = field.label == F.LABEL_REPEATED
        if repeated and tag & 7 == BYTES != wire_type:
            found.setdefault(field.number, []).extend(_unpack(field, raw))
        elif tag & 7 != wire_type:
            raise WireError(f"{field.full_name} is of another type")
        elif repeated:
            found.setdefault(field.number, []).append(_value(field, raw, depth))
        else:
            found[field.number] = _value(field, raw, depth)
    for field in descriptor.fields:
        if field.label == F.LABEL_REQUIRED and field.number not in found:
            raise WireError(f"{field.full_name} is missing")
    return {descriptor.fields_by_number[n].name: found[n] for n in sorted(found)}


def _put_varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _put_integer(kind, value):
    if kind in FIXED:
        return struct.pack(FIXED[kind], value)
    if kind in ZIGZAG:
        value = value << 1 ^ value >> 63
    return _put_varint(value)


def _put_value(field, value):
    """Behind the tag."""
    if WIRE_TYPES.get(field.type) == BYTES:
        data = serialize(field.message_type, value) if field.type == F.TYPE_MESSAGE else bytes(value)
        return _put_varint(len(data)) + data
    return _put_integer(field.type, value)


def _tag(field, wire_type):
    return _put_varint(field.number << 3 | wire_type)


def serialize(descriptor, values):
    """The message with these values, in the order of field numbers; unknown names are passed over."""
    out = []
    for number in sorted(descriptor.fields_by_number):
        field = descriptor.fields_by_number[number]
        if field.name not in values:
            if field.label == F.LABEL_REQUIRED:
                raise WireError(f"{field.full_name} is missing")
            continue
        value, wire_type = values[field.name], WIRE_TYPES.get(field.type, VARINT)
        if field.label != F.LABEL_REPEATED:
            out += _tag(field, wire_type), _put_value(field, value)
        elif value and field.has_options and field.GetOptions().packed:
            data = b"".join(_put_integer(field.type, v) for v in value)
            out += _tag(field, BYTES), _put_varint(len(data)), data
        else:
            for one in value:
                out += _tag(field, wire_type), _put_value(field, one)
    return b"".join(out)
