/*
 * Who serves: a worker that a library started for itself (swrk), or a daemon that forks one for
 * each connection.
 *
 * A worker of the daemon gives up all rights that its client lacks before it reads the first
 * request: it has the client's user, groups and nothing else but CAP_CHECKPOINT_RESTORE.  So
 * no request can reach a task, file or directory that its sender could not reach itself; the
 * kernel sees to that, not the tool.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/session.h"
#include "cli/parser.h"
#include "rpc/rpc.h"

enum { BACKLOG = 16, FIRST_PASSED_FD = 3, NAP_MS = 100 };

static const char default_socket[] = "criu_service.socket";

static int peer_of(struct session *s, int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return fail(s, errno, "descriptor %d is no socket of a client", fd);
	return 0;
}

int swrk_run(struct session *s)
{
	struct worker w = {.swrk = true, .options = *s->opt, .places = s->log.places};
	int64_t fd;
	if (parse_number(s->opt->words.v[0], 0, INT32_MAX, &fd))
		return fail(s, EINVAL, "swrk: '%s' is not a descriptor", s->opt->words.v[0]);
	w.fd = (int)fd;
	fcntl(w.fd, F_SETFD, FD_CLOEXEC);
	int err = peer_of(s, w.fd, &w.peer);
	if (err < 0)
		return err;
	exit(worker_run(&w)); /* its failures were told to the client */
}

/* All supplementary groups of the client, as the socket recorded them. */
static int take_groups(int fd)
{
	gid_t groups[NGROUPS_MAX < 4096 ? NGROUPS_MAX : 4096];
	socklen_t len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return -1;
	return setgroups(len / sizeof(gid_t), groups);
}

static int keep_one_capability(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};
	caps[1].permitted = caps[1].effective = 1u << (CAP_CHECKPOINT_RESTORE - 32);
	return (int)syscall(SYS_capset, &head, caps);
}

static void become_client(const struct worker *w)
{
	if (w->peer.uid == 0)
		return;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || take_groups(w->fd) < 0 ||
		setresgid(w->peer.gid, w->peer.gid, w->peer.gid) < 0 ||
		setresuid(w->peer.uid, w->peer.uid, w->peer.uid) < 0 || keep_one_capability() < 0 ||
		prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as an ordinary process of the client's */
}

static int serve_client(struct session *s, int listener, int fd)
{
	struct worker w = {.fd = fd, .places = s->log.places};
	close(listener);
	signal(SIGCHLD, SIG_DFL);
	if (peer_of(s, fd, &w.peer) < 0)
		_exit(1);
	become_client(&w);
	options_init(&w.options); /* nothing of the daemon's own */
	w.options.unprivileged = w.peer.uid != 0;
	_exit(worker_run(&w));
}

/* A socket that systemd made for us, or -1. */
static int passed_socket(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	if (!pid || !n || atoi(pid) != getpid() || atoi(n) < 1)
		return -1;
	fcntl(FIRST_PASSED_FD, F_SETFD, FD_CLOEXEC);
	return FIRST_PASSED_FD;
}

/* ret_path: of the socket, once there is one. */
static int bind_socket(struct session *s, int *ret, const char **ret_path)
{
	const char *path = s->opt->address ? s->opt->address : default_socket;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(addr.sun_path))
		return fail(s, ENAMETOOLONG, "%s", path);
	strcpy(addr.sun_path, path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(s, errno, "make a socket");
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (bind(fd, (struct sockaddr *)&addr, len) < 0)
		return fail(s, errno, "bind the service socket %s", path);
	*ret_path = path;
	if (chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0)
		return fail(s, errno, "listen at the service socket %s", path);
	*ret = take_fd(&fd);
	return 0;
}

/* To the background, in the same directory, with nothing at the standard descriptors. */
static int daemonize(struct session *s)
{
	pid_t pid = fork();
	if (pid < 0)
		return fail(s, errno, "go to the background");
	if (pid)
		_exit(0);
	setsid();
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fd != s->log.fd || fd == STDERR_FILENO)
			dup2(null, fd);
	return 0;
}

static int write_pidfile(struct session *s)
{
	const char *path = s->opt->pidfile;
	if (!path)
		return 0;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%d", getpid()) < 0)
		return fail(s, errno, "write the PID to %s", path);
	return 0;
}

static int say_ready(struct session *s)
{
	int fd = s->opt->status_fd;
	if (fd >= 0) {
		if (write(fd, "", 1) != 1)
			return fail(s, errno, "--status-fd %d", fd);
		close(fd);
	}
	return hook_run(s, HOOK_STATUS_READY);
}

/* Of this connection, or of this moment: the next client may be served (accept(2)). */
static bool is_passing(int err)
{
	return err == EINTR || err == ECONNABORTED || err == EMFILE || err == ENFILE ||
	       err == ENOBUFS || err == ENOMEM || err == EPERM;
}

static int accept_forever(struct session *s, int listener)
{
	signal(SIGCHLD, SIG_IGN); /* workers reap themselves */
	for (;;) {
		_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && !is_passing(errno))
			return fail(s, errno, "accept a connection");
		if (fd < 0) {
			log_warn(s, "a client is kept waiting: %s", strerror(errno));
			poll(NULL, 0, NAP_MS);
			continue;
		}
		pid_t pid = fork();
		if (pid == 0)
			serve_client(s, listener, fd);
		if (pid < 0)
			log_warn(s, "a client is turned away: %s", strerror(errno));
	}
}

int service_run(struct session *s)
{
	_cleanup_close_ int listener = passed_socket();
	const char *made = NULL;
	int err = 0;
	if (listener < 0)
		err = bind_socket(s, &listener, &made);
	if (err >= 0 && s->opt->detach)
		err = daemonize(s);
	if (err >= 0)
		err = write_pidfile(s);
	if (err >= 0)
		err = say_ready(s);
	if (err < 0) {
		if (made)
			unlink(made);
		return err;
	}
	log_info(s, "The service is ready");
	return accept_forever(s, listener);
}
