/*
 * One listener with a short backlog and 100 clients in another process, of another user and with
 * other groups, connected and with data both ways; what each end is told of its peer: SO_PEERCRED,
 * SO_PEERGROUPS, SO_PEERPIDFD.
 * PROVES: F139 F146
 */
#include <grp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { N = 100, USER = 1234, GROUP = 2345 };

static const gid_t groups[] = {7, 77, 777};
static int accepted[N], clients[N], listener;

static void need_peer(int fd, pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	NEED(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len));
	SAME(who.pid, pid);
	SAME(who.uid, uid);
	SAME(who.gid, gid);
}

static void need_groups(int fd)
{
	gid_t got[16];
	socklen_t len = sizeof(got);

	NEED(!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, got, &len));
	SAME(len, sizeof(groups));
	NEED(!memcmp(got, groups, sizeof(groups)));
}

static void need_pidfd(int fd, pid_t pid)
{
	char path[64], buf[512], line[32];
	int pidfd = -1;
	socklen_t len = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) && errno == ENOPROTOOPT)
		return;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	slurp(path, buf, sizeof(buf));
	snprintf(line, sizeof(line), "Pid:\t%d\n", pid);
	NEED(strstr(buf, line));
	close(pidfd);
}

static void child(void *unused)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0many"};

	(void)unused;
	close(listener);
	NEED(!setgroups(3, groups) && !setresgid(GROUP, GROUP, GROUP));
	NEED(!setresuid(USER, USER, USER) && !prctl(PR_SET_DUMPABLE, 1));
	for (int i = 0; i < N; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		NEED(!connect(clients[i], (struct sockaddr *)&name,
			offsetof(struct sockaddr_un, sun_path) + 5));
		SAME(write(clients[i], &i, sizeof(i)), sizeof(i));
	}
	for (int i = 0; i < N; i++) /* accepted: each is greeted */
		NEED(recv(clients[i], &(char){0}, 1, MSG_PEEK) == 1);
	child_park();
	for (int i = 0; i < N; i++) {
		int got = -1;
		NEED(read(clients[i], &got, sizeof(got)) == sizeof(got) && got == i * 7);
		SAME(write(clients[i], &got, sizeof(got)), sizeof(got));
		need_peer(clients[i], getppid(), 0, 0);
	}
	need_pidfd(clients[5], getppid());
	struct stat st;
	NEED(!fstat(clients[7], &st) && st.st_uid == USER && st.st_gid == GROUP);
}

int main(int argc, char **argv)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0many"};
	struct stat st;

	setup(argc, argv);
	NEED(!chmod(dir, 0777));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	NEED(!bind(listener, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 5));
	NEED(!listen(listener, 2));
	pid_t pid = spawn(child, NULL);
	for (int i = 0; i < N; i++) {
		int number = i * 7;
		accepted[i] = accept(listener, NULL, NULL);
		NEED(accepted[i] >= 0);
		SAME(write(accepted[i], &number, sizeof(number)), sizeof(number));
	}
	await_child(pid);
	park();
	need_exit(pid, 0);
	for (int i = 0; i < N; i++) {
		int got[2] = {-1, -1};
		SAME(read(accepted[i], got, sizeof(got)), sizeof(got));
		SAME(got[0], i);
		SAME(got[1], i * 7);
		NEED(read(accepted[i], got, 1) == 0);
		need_peer(accepted[i], pid, USER, GROUP);
		need_groups(accepted[i]);
	}
	need_peer(listener, getpid(), 0, 0);
	NEED(!fstat(listener, &st) && st.st_uid == 0);
	ok();
}
