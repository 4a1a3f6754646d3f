/* Descriptors sent over unix sockets. */
#ifndef RIGHTS_H
#define RIGHTS_H

#include "check.h"

#include <sys/socket.h>

#define MAX 253

static UNUSED void send_files(int to, const char *text, const int *fds, int n)
{
	char control[CMSG_SPACE(MAX * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	*c = (struct cmsghdr){CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	SAME(sendmsg(to, &msg, 0), strlen(text));
}

static UNUSED void send_file(int to, const char *text, int fd)
{
	send_files(to, text, &fd, 1);
}

/* The number of descriptors. creds may be NULL. */
static UNUSED int take(int from, const char *text, int *fds, struct ucred *creds)
{
	char control[CMSG_SPACE(MAX * sizeof(int)) + 64], buf[64];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(from, &msg, MSG_DONTWAIT);
	int n_fds = 0;

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		bad("got %zd bytes \"%.*s\", not \"%s\"", n, n > 0 ? (int)n : 0, buf, text);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_type == SCM_RIGHTS) {
			n_fds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		} else if (c->cmsg_type == SCM_CREDENTIALS && creds) {
			memcpy(creds, CMSG_DATA(c), sizeof(*creds));
		}
	}
	return n_fds;
}

#endif
