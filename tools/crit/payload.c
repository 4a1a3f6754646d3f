/*
 * What follows a record in the file, as its member `extra`.
 *
 * Bytes are base64; TCP queues an object of two such texts, semaphores a list of numbers, message
 * queues a flat list of message, base64, message, base64, ...  Lengths are in the record.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crit.h"
#include "ipc.pb-c.h"
#include "socket.pb-c.h"

/* "12B", "1.5KB": as the reference prints sizes. */
static void put_size(struct json_writer *w, uint64_t size)
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)size;
	unsigned unit = 0;
	for (; value >= 1024 && unit < sizeof(units) / sizeof(*units) - 1; unit++)
		value /= 1024;
	char text[64];
	bool whole = value == (double)(uint64_t)value;
	snprintf(text, sizeof(text), whole ? "... <%.0f%s>" : "... <%.1f%s>", value, units[unit]);
	json_write_string(w, text);
}

/* Bytes of the file as base64, a few lines at a time: payloads may be larger than memory. */
static int put_span(
	struct crit *c, struct json_writer *w, struct image_reader *r, uint64_t at, uint64_t len)
{
	char data[BASE64_LINE * 256], text[(BASE64_LINE / 3 * 4 + 1) * 256];
	json_write_begin_text(w);
	while (len) {
		size_t n = len < sizeof(data) ? (size_t)len : sizeof(data);
		ssize_t got = pread(r->fd, data, n, (off_t)at);
		if (got != (ssize_t)n)
			return fail(c->s, got < 0 ? errno : EBADMSG, "%s/%s: offset %ju: payload",
				r->dir->path, r->name, (uintmax_t)at);
		json_write_text_part(w, text, base64_encode(data, n, text));
		at += n;
		len -= n;
	}
	json_write_end_text(w);
	return 0;
}

static int put_tcp(
	struct crit *c, struct json_writer *w, struct image_reader *r, const TcpStreamEntry *e)
{
	json_write_begin(w, '{');
	json_write_key(w, "inq");
	int err = put_span(c, w, r, r->payload.offset, e->inq_len);
	if (err < 0)
		return err;
	json_write_key(w, "outq");
	err = put_span(c, w, r, r->payload.offset + e->inq_len, e->outq_len);
	json_write_end(w, '}');
	return err;
}

static int put_semaphores(struct crit *c, struct json_writer *w, struct image_reader *r)
{
	const uint16_t *values;
	size_t len;
	int err = image_read_payload(c->s, r, UINT32_MAX, (const void **)&values, &len);
	if (err < 0)
		return err;
	json_write_begin(w, '[');
	for (size_t i = 0; i < len / sizeof(*values); i++)
		json_write_unsigned(w, values[i]);
	json_write_end(w, ']');
	return 0;
}

/* The messages are records of their own, which the reader counts for us. */
static int put_messages(struct crit *c, struct json_writer *w, struct image_reader *r)
{
	uint64_t size = 0;
	if (!c->no_payload)
		json_write_begin(w, '[');
	while (r->nested_left) {
		ProtobufCMessage *m;
		int err = image_read(c->s, r, &m);
		if (err < 0)
			return err;
		size += protobuf_c_message_get_packed_size(m) + r->payload.len;
		if (c->no_payload)
			continue;
		json_write_begin(w, '{');
		decode_fields(c->s, w, m);
		json_write_end(w, '}');
		err = put_span(c, w, r, r->payload.offset, r->payload.len);
		if (err < 0)
			return err;
	}
	if (c->no_payload)
		put_size(w, size);
	else
		json_write_end(w, ']');
	return 0;
}

/* Empty payload is shown too, as the reference does. */
static bool has_extra(const struct crit *c, const struct image_reader *r, const ProtobufCMessage *m)
{
	switch (r->kind->payload) {
	case PAYLOAD_NONE:
	case PAYLOAD_PAGEMAP:
		return false;
	case PAYLOAD_GHOST:
		return !c->no_payload && (m->descriptor == r->kind->nested || r->payload.len);
	default:
		return true;
	}
}

int payload_decode(
	struct crit *c, struct json_writer *w, struct image_reader *r, const ProtobufCMessage *m)
{
	if (!has_extra(c, r, m))
		return 0;
	json_write_key(w, "extra");
	if (r->kind->payload == PAYLOAD_IPC_MSG)
		return put_messages(c, w, r);
	if (c->no_payload) {
		put_size(w, r->payload.len);
		return 0;
	}
	if (r->kind->payload == PAYLOAD_TCP)
		return put_tcp(c, w, r, (const TcpStreamEntry *)m);
	if (r->kind->payload == PAYLOAD_IPC_SEM)
		return put_semaphores(c, w, r);
	return put_span(c, w, r, r->payload.offset, r->payload.len);
}

/* Appends bytes given as base64; the length must be the one that the record says. */
static int take_bytes(struct session *s, struct image_writer *w, struct json_object *text,
	uint64_t due, unsigned align, const char *what)
{
	_cleanup_free_ char *data = NULL;
	ssize_t len = 0;
	if (text && !json_object_is_type(text, json_type_string))
		return fail(s, EINVAL, "%s is not a string", what);
	if (text) {
		size_t size = (size_t)json_object_get_string_len(text);
		data = malloc(size + 1);
		if (!data)
			return fail(s, ENOMEM, "%s", what);
		len = base64_decode(json_object_get_string(text), size, data);
	}
	if (len < 0)
		return fail(s, EINVAL, "%s is not base64", what);
	if (due != UINT64_MAX && (uint64_t)len != due)
		return fail(s, EINVAL, "%s has %zd bytes, its record says %ju", what, len,
			(uintmax_t)due);
	return len ? image_write_payload(s, w, data, (size_t)len, align) : 0;
}

static int take_tcp(struct session *s, struct image_writer *w, struct json_object *extra,
	const TcpStreamEntry *e)
{
	int err = take_bytes(
		s, w, json_object_object_get(extra, "inq"), e->inq_len, 1, "the receive queue");
	if (err < 0)
		return err;
	return take_bytes(
		s, w, json_object_object_get(extra, "outq"), e->outq_len, 1, "the send queue");
}

static int take_semaphores(
	struct session *s, struct image_writer *w, struct json_object *extra, uint64_t due)
{
	size_t n = (size_t)due / sizeof(uint16_t);
	if (!json_object_is_type(extra, json_type_array) || json_object_array_length(extra) != n)
		return fail(s, EINVAL, "a set of %zu semaphores needs a list of as many values", n);
	uint16_t *values = arena_array(&s->arena, uint16_t, n + 1);
	for (size_t i = 0; i < n; i++)
		values[i] = (uint16_t)json_object_get_int(json_object_array_get_idx(extra, i));
	return image_write_payload(s, w, values, (size_t)due, 8);
}

static int take_messages(
	struct session *s, struct image_writer *w, struct json_object *extra, const IpcMsgEntry *e)
{
	if (!json_object_is_type(extra, json_type_array) ||
		json_object_array_length(extra) != 2 * (size_t)e->qnum)
		return fail(
			s, EINVAL, "a queue of %u messages needs a list of twice as many", e->qnum);
	for (size_t i = 0; i < 2 * (size_t)e->qnum; i += 2) {
		ProtobufCMessage *m;
		int err = encode_message(
			s, &ipc_msg__descriptor, json_object_array_get_idx(extra, i), &m);
		if (err >= 0)
			err = image_write(s, w, m);
		if (err >= 0)
			err = take_bytes(s, w, json_object_array_get_idx(extra, i + 1),
				((const IpcMsg *)m)->msize, 8, "a message");
		if (err < 0)
			return err;
	}
	return 0;
}

int payload_encode(struct session *s, struct image_writer *w, const ProtobufCMessage *m,
	struct json_object *object)
{
	const struct image_kind *kind = image_kind(w->type);
	struct json_object *extra = json_object_object_get(object, "extra");
	unsigned align;
	uint64_t due = image_payload_len(kind, m, UINT64_MAX, &align);
	if (m->descriptor == &ipc_msg_entry__descriptor && ((const IpcMsgEntry *)m)->qnum)
		return take_messages(s, w, extra, (const IpcMsgEntry *)m);
	if (!due || (due == UINT64_MAX && !extra))
		return 0;
	if (kind->payload == PAYLOAD_TCP)
		return take_tcp(s, w, extra, (const TcpStreamEntry *)m);
	if (kind->payload == PAYLOAD_IPC_SEM)
		return take_semaphores(s, w, extra, due);
	return take_bytes(s, w, extra, due, align, "extra");
}
