/*
 * Names of unix sockets: paths absolute, relative (of a directory left since), of full length,
 * removed, renamed, in a directory that is gone; abstract ones with NULs, of full length, given by
 * the kernel; modes and owners of their files.  Listeners, connections through them with
 * and without a name of the client, connections that wait to be accepted, in order.  Accepted
 * sockets have the listener's name, also when the listener is closed.
 * PROVES: F139 F143 F144 F145 F147 F155
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

struct name {
	struct sockaddr_un a;
	socklen_t len;
};

static struct name path_name(const char *path)
{
	struct name n = {.a.sun_family = AF_UNIX};

	NEED(strlen(path) <= sizeof(n.a.sun_path));
	memcpy(n.a.sun_path, path, strlen(path));
	n.len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	return n;
}

static struct name abstract_name(const void *bytes, size_t len)
{
	struct name n = {.a.sun_family = AF_UNIX};

	memcpy(n.a.sun_path + 1, bytes, len);
	n.len = offsetof(struct sockaddr_un, sun_path) + 1 + len;
	return n;
}

static struct name name_of(int fd, bool peer)
{
	struct name n = {.len = sizeof(n.a)};

	if (peer)
		NEED(!getpeername(fd, (struct sockaddr *)&n.a, &n.len));
	else
		NEED(!getsockname(fd, (struct sockaddr *)&n.a, &n.len));
	return n;
}

static void need_name(int fd, const struct name *before, bool peer)
{
	struct name now = name_of(fd, peer);

	SAME(now.len, before->len);
	NEED(!memcmp(&now.a, &before->a, now.len < sizeof(now.a) ? now.len : sizeof(now.a)));
}

static int new_bound(int type, const struct name *n)
{
	int fd = socket(AF_UNIX, type, 0);

	NEED(fd >= 0 && !bind(fd, (const struct sockaddr *)&n->a, n->len));
	return fd;
}

static int connected(int type, const struct name *to)
{
	int fd = socket(AF_UNIX, type, 0);

	NEED(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&to->a, to->len) < 0)
		bad("connect to %s", to->a.sun_path);
	return fd;
}

/* Whether a connection to that name arrives at this listener. */
static void need_reach(int listener, const struct name *to)
{
	char c;
	int fd = connected(SOCK_STREAM, to), got = accept(listener, NULL, NULL);

	NEED(got >= 0 && write(fd, "k", 1) == 1 && read(got, &c, 1) == 1 && c == 'k');
	close(fd);
	close(got);
}

enum { ABSOLUTE, RELATIVE, LONGEST, REMOVED, RENAMED, ORPHANED, NULS, FULL, GIVEN, N_LISTENERS };

static int listeners[N_LISTENERS], waiting[3], packets, closed_listener[2];
static struct name names[N_LISTENERS], client_name;
static int plain_client, plain_accepted, named_client, named_accepted;

static void build_listener(int which, const struct name *n)
{
	listeners[which] = new_bound(SOCK_STREAM, n);
	NEED(!listen(listeners[which], 3 + which));
	names[which] = name_of(listeners[which], false);
}

static void build_names(void)
{
	char full[sizeof(dir) + 120], bytes[107];
	struct name n = path_name(in_dir("absolute"));

	build_listener(ABSOLUTE, &n);
	NEED(!chmod(in_dir("absolute"), 0640) && !chown(in_dir("absolute"), 12, 34));
	NEED(!mkdir(in_dir("sub"), 0755) && !mkdir(in_dir("gone"), 0755));
	NEED(!chdir(in_dir("sub")));
	n = path_name("./relative");
	build_listener(RELATIVE, &n);
	n = path_name("removed");
	build_listener(REMOVED, &n);
	NEED(!unlink("removed"));
	n = path_name("before");
	build_listener(RENAMED, &n);
	NEED(!rename("before", in_dir("renamed")));
	NEED(!chdir("/"));
	n = path_name(in_dir("gone/s"));
	build_listener(ORPHANED, &n);
	NEED(!unlink(in_dir("gone/s")) && !rmdir(in_dir("gone")));
	snprintf(full, sizeof(full), "%s/", dir);
	NEED(strlen(full) < 100);
	memset(full + strlen(full), 'x', sizeof(n.a.sun_path) - strlen(full));
	full[sizeof(n.a.sun_path)] = '\0';
	n = path_name(full);
	build_listener(LONGEST, &n);
	n = abstract_name("with\0nuls\0\0", 11);
	build_listener(NULS, &n);
	memset(bytes, 'y', sizeof(bytes));
	n = abstract_name(bytes, sizeof(bytes));
	build_listener(FULL, &n);
	n = (struct name){.a.sun_family = AF_UNIX, .len = sizeof(sa_family_t)};
	build_listener(GIVEN, &n);
}

static void build_connections(void)
{
	struct name n = path_name(in_dir("client"));

	plain_client = connected(SOCK_STREAM, &names[NULS]);
	plain_accepted = accept(listeners[NULS], NULL, NULL);
	named_client = new_bound(SOCK_STREAM, &n);
	client_name = name_of(named_client, false);
	NEED(!connect(named_client, (struct sockaddr *)&names[ABSOLUTE].a, names[ABSOLUTE].len));
	named_accepted = accept(listeners[ABSOLUTE], NULL, NULL);
	NEED(plain_accepted >= 0 && named_accepted >= 0);
	NEED(write(plain_client, "hello", 5) == 5 && write(named_accepted, "welcome", 7) == 7);
	n = path_name(in_dir("sub/relative"));
	for (int i = 0; i < 3; i++)
		waiting[i] = connected(SOCK_STREAM, &n);
	n = abstract_name("closed", 6);
	int l = new_bound(SOCK_SEQPACKET, &n);
	NEED(!listen(l, 1));
	closed_listener[0] = connected(SOCK_SEQPACKET, &n);
	closed_listener[1] = accept(l, NULL, NULL);
	NEED(closed_listener[1] >= 0 && write(closed_listener[0], "kept", 4) == 4);
	close(l);
	n = abstract_name("with\0nuls\0\0", 11); /* names are per type */
	packets = new_bound(SOCK_DGRAM, &n);
}

static void need_text(int fd, const char *text)
{
	char buf[64];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		bad("%zd bytes, not \"%s\"", n, text);
}

static void check_connections(void)
{
	struct name closed = abstract_name("closed", 6);

	need_text(plain_accepted, "hello");
	need_text(named_client, "welcome");
	NEED(write(plain_accepted, "re", 2) == 2);
	need_text(plain_client, "re");
	need_name(plain_accepted, &names[NULS], false);
	need_name(plain_client, &names[NULS], true);
	need_name(named_accepted, &client_name, true);
	need_name(named_client, &client_name, false);
	need_name(closed_listener[1], &closed, false);
	need_name(closed_listener[0], &closed, true);
	need_text(closed_listener[1], "kept");
	close(closed_listener[1]);
	NEED(!listen(new_bound(SOCK_SEQPACKET, &closed), 1)); /* the name is free */
	for (int i = 0; i < 3; i++) {
		char c = (char)('a' + i);
		int fd = accept4(listeners[RELATIVE], NULL, NULL, SOCK_NONBLOCK);
		NEED(fd >= 0 && write(waiting[i], &c, 1) == 1);
		char text[2] = {c, 0};
		need_text(fd, text);
		struct ucred peer;
		socklen_t len = sizeof(peer);
		NEED(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid == getpid());
		close(fd);
	}
	NEED(!fcntl(listeners[RELATIVE], F_SETFL, O_NONBLOCK));
	NEED(accept(listeners[RELATIVE], NULL, NULL) == -1 && errno == EAGAIN);
	NEED(!fcntl(listeners[RELATIVE], F_SETFL, 0));
}

static void check_backlog(int which)
{
	int fds[32], n = 0;

	for (; n < 32; n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&names[which].a, names[which].len))
			break;
	}
	SAME(errno, EAGAIN);
	SAME(n, 3 + which + 1);
	for (int i = 0; i <= n; i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	struct stat st;
	struct name at;

	setup(argc, argv);
	umask(022);
	build_names();
	build_connections();
	park();
	for (int i = 0; i < N_LISTENERS; i++)
		need_name(listeners[i], &names[i], false);
	NEED(!stat(in_dir("absolute"), &st));
	SAME(st.st_mode, S_IFSOCK | 0640);
	SAME(st.st_uid, 12);
	SAME(st.st_gid, 34);
	NEED(!stat(in_dir("sub/relative"), &st) && st.st_mode == (S_IFSOCK | 0755));
	check_connections();
	NEED(stat(in_dir("gone"), &st) && stat(in_dir("sub/removed"), &st) &&
		stat(in_dir("sub/before"), &st));
	need_reach(listeners[ABSOLUTE], &names[ABSOLUTE]);
	at = path_name(in_dir("sub/relative"));
	need_reach(listeners[RELATIVE], &at);
	at = path_name(in_dir("renamed"));
	need_reach(listeners[RENAMED], &at);
	names[LONGEST].len = sizeof(names[LONGEST].a);
	for (int i = LONGEST; i < N_LISTENERS; i++)
		if (i == LONGEST || i >= NULS)
			need_reach(listeners[i], &names[i]);
	check_backlog(NULS);
	NEED(sendto(packets, "self", 4, 0, (struct sockaddr *)&names[NULS].a, names[NULS].len) ==
		4);
	need_text(packets, "self");
	ok();
}
