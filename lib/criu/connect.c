/* Reaching the tool, and one exchange with it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

static const char default_address[] = "criu_service.socket";
static const char default_binary[] = "criu";

/* Came with the last notification that carried one. */
static int orphan_pts_master_fd = -1;

int criu_get_orphan_pts_master_fd(void)
{
	return orphan_pts_master_fd;
}

int criu_notify_pid(criu_notify_arg_t na)
{
	return na && na->has_pid ? na->pid : 0;
}

static int complain(const char *what)
{
	fprintf(stderr, "libcriu: %s: %s\n", what, strerror(errno));
	return -1;
}

static int connect_service(const criu_opts *opts)
{
	const char *path = opts->service_address ? opts->service_address : default_address;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return complain(path);
	}
	strcpy(addr.sun_path, path);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return complain("socket");
	if (connect(fd, (struct sockaddr *)&addr, len) == 0)
		return fd;
	complain(path);
	close(fd);
	return -1;
}

/* In the child: leaves the tree of the caller, so as not to be dumped with it. */
static void leave_tree(void)
{
	if (setsid() < 0 || chdir("/") < 0)
		_exit(1);
	pid_t pid = fork();
	if (pid)
		_exit(pid < 0 ? 1 : 0);
}

/* The caller learns by a first packet which process serves it. */
static void become_worker(const criu_opts *opts, int fd, bool apart)
{
	const char *binary = opts->service_binary ? opts->service_binary : default_binary;
	sigset_t child;
	char number[16];
	if (apart)
		leave_tree();
	pid_t pid = getpid();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &child, NULL);
	fcntl(fd, F_SETFD, 0);
	if (send(fd, &pid, sizeof(pid), MSG_NOSIGNAL) != sizeof(pid))
		_exit(1);
	snprintf(number, sizeof(number), "%d", fd);
	execlp(binary, binary, "swrk", number, (char *)NULL);
	complain(binary);
	_exit(1);
}

static int start_worker(const criu_opts *opts, struct connection *c, bool apart)
{
	int pair[2];
	pid_t worker;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return complain("socketpair");
	pid_t child = fork();
	if (child == 0)
		become_worker(opts, pair[1], apart);
	close(pair[1]);
	if (child > 0 && apart)
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	if (child < 0 || recv(pair[0], &worker, sizeof(worker), 0) != sizeof(worker)) {
		complain("start a worker");
		close(pair[0]);
		return -1;
	}
	c->fd = pair[0];
	c->worker = apart ? 0 : worker;
	return 0;
}

int connection_open(criu_opts *opts, struct connection *c, bool apart)
{
	*c = (struct connection){.fd = -1};
	if (opts->service_comm == CRIU_COMM_BIN)
		return start_worker(opts, c, apart) < 0 ? -ECONNREFUSED : 0;
	c->fd = opts->service_comm == CRIU_COMM_FD ? opts->service_fd : connect_service(opts);
	return c->fd < 0 ? -ECONNREFUSED : 0;
}

void connection_close(criu_opts *opts, struct connection *c)
{
	int saved = errno;
	if (c->fd >= 0)
		close(c->fd);
	if (opts->service_comm == CRIU_COMM_FD)
		opts->service_fd = -1;
	if (c->worker)
		while (waitpid(c->worker, NULL, 0) < 0 && errno == EINTR)
			;
	errno = saved;
}

static int send_request(int fd, const CriuReq *req)
{
	size_t size = criu_req__get_packed_size(req);
	uint8_t *data = malloc(size + 1);
	if (!data)
		return complain("send a request");
	criu_req__pack(req, data);
	ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
	free(data);
	return sent == (ssize_t)size ? 0 : complain("send a request");
}

static void take_descriptor(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len >= CMSG_LEN(sizeof(int)))
		memcpy(&orphan_pts_master_fd, CMSG_DATA(c), sizeof(int));
}

static CriuResp *receive_response(int fd)
{
	ssize_t size;
	do
		size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (size < 0 && errno == EINTR);
	uint8_t *data = size > 0 ? malloc((size_t)size) : NULL;
	if (!data) {
		if (size == 0)
			errno = ECONNRESET;
		complain("receive a response");
		return NULL;
	}
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {data, (size_t)size};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	size = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (size > 0)
		take_descriptor(&m);
	CriuResp *resp = size > 0 ? criu_resp__unpack(NULL, (size_t)size, data) : NULL;
	free(data);
	if (!resp) {
		errno = size < 0 ? errno : EBADMSG;
		complain("receive a response");
	}
	return resp;
}

/* The callback's value, or a negative errno of the connection. */
static int acknowledge(criu_opts *opts, int fd, CriuNotify *what)
{
	int answer = what && opts->notify ? opts->notify(what->script, what) : 0;
	CriuReq req = CRIU_REQ__INIT;
	req.type = CRIU_REQ_TYPE__NOTIFY;
	req.has_notify_success = true;
	req.notify_success = answer == 0;
	return send_request(fd, &req) < 0 && !answer ? -ECOMM : answer;
}

int connection_ask(criu_opts *opts, struct connection *c, CriuReq *req, CriuResp **ret)
{
	if (send_request(c->fd, req) < 0)
		return -ECOMM;
	for (;;) {
		CriuResp *resp = receive_response(c->fd);
		if (!resp)
			return -ECOMM;
		if (resp->type != CRIU_REQ_TYPE__NOTIFY) {
			*ret = resp;
			return 0;
		}
		int answer = acknowledge(opts, c->fd, resp->notify);
		criu_resp__free_unpacked(resp, NULL);
		if (answer)
			return answer;
	}
}
