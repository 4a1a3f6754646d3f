/* Packets: see rpc.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "image/codec.h"
#include "kernel/syscalls.h"
#include "rpc/rpc.h"

enum { MAX_PACKET = 64 << 20 };

int wire_receive(struct session *s, int fd, CriuReq **ret)
{
	ssize_t size;
	do
		size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	if (size == 0 || (size < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (size < 0 || size > MAX_PACKET)
		return fail(s, size < 0 ? errno : EMSGSIZE, "receive a request");
	char *data = arena_alloc(&s->arena, (size_t)size);
	if (recv(fd, data, (size_t)size, 0) != size)
		return fail(s, errno, "receive a request");
	ProtobufCMessage *m;
	if (image_unpack(s, &criu_req__descriptor, data, (size_t)size, &m) < 0)
		return fail(s, EBADMSG, "the request is not a criu_req");
	*ret = (CriuReq *)m;
	return 0;
}

int wire_send(struct session *s, int fd, const CriuResp *resp, int pass_fd)
{
	size_t size = criu_resp__get_packed_size(resp);
	uint8_t *data = arena_alloc(&s->arena, size + 1);
	criu_resp__pack(resp, data);
	struct iovec part = {data, size};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	if (pass_fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &pass_fd, sizeof(int));
	}
	/* whoever is not told that a dump is done takes it for failed */
	if (insist((int)sendmsg(fd, &m, MSG_NOSIGNAL)) != (int)size)
		return errno == EPIPE || errno == ECONNRESET
			       ? -EPIPE
			       : fail(s, errno, "send a response of %zu bytes", size);
	return 0;
}
