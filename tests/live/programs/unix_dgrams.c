/*
 * Datagram sockets: one server with several clients, connected or not, named or not, in two tasks,
 * whose packets are queued in turn; senders that are closed but still told; a chain of connections;
 * two sockets connected to each other by name, with more packets than a stranger may queue; one
 * connected to itself; one without a name that only its former other half can reach; one whose
 * server is closed.
 * PROVES: F141 F142 F140
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

struct name {
	struct sockaddr_un a;
	socklen_t len;
};

static struct name make_name(const char *text)
{
	struct name n = {.a.sun_family = AF_UNIX};
	size_t len = strlen(text);

	memcpy(n.a.sun_path, text, len);
	if (text[0] == '@')
		n.a.sun_path[0] = 0;
	else
		len++;
	n.len = offsetof(struct sockaddr_un, sun_path) + len;
	return n;
}

static int new_bound(const char *text)
{
	struct name n = make_name(text);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&n.a, n.len));
	return fd;
}

static void connect_to(int fd, const char *text)
{
	struct name n = make_name(text);

	NEED(!connect(fd, (struct sockaddr *)&n.a, n.len));
}

static void send_text(int fd, const char *text, const char *to)
{
	struct name n = make_name(to ? to : "");

	SAME(sendto(fd, text, strlen(text), MSG_NOSIGNAL, to ? (struct sockaddr *)&n.a : NULL,
		     to ? n.len : 0),
		strlen(text));
}

static int how = MSG_DONTWAIT;

/* The next packet and the name of its sender ("": none). */
static void need_packet(int fd, const char *text, const char *from)
{
	char buf[64];
	struct name got = {.len = sizeof(got.a)}, want = make_name(from);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), how, (struct sockaddr *)&got.a, &got.len);

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		bad("got %zd bytes \"%.*s\", not \"%s\"", n, n > 0 ? (int)n : 0, buf, text);
	if (!*from) {
		NEED(got.len <= sizeof(sa_family_t));
		return;
	}
	SAME(got.len, want.len);
	if (memcmp(&got.a, &want.a, got.len))
		bad("\"%s\" is from \"%s\", not \"%s\"", text, got.a.sun_path, want.a.sun_path);
}

static void need_empty(int fd)
{
	char c;

	NEED(recv(fd, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

static int server, plain, named, unconnected, chain[3], mutual[2], self, nameless[2], orphan;

static void build_server(void)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	server = new_bound(in_dir("server"));
	plain = socket(AF_UNIX, SOCK_DGRAM, 0);
	connect_to(plain, in_dir("server"));
	named = new_bound("@named client");
	connect_to(named, in_dir("server"));
	unconnected = new_bound(in_dir("client"));
	send_text(plain, "1", NULL);
	send_text(named, "2", NULL);
	send_text(unconnected, "3", in_dir("server"));
	send_text(plain, "4", NULL);
	int gone = new_bound("@gone client");
	send_text(gone, "5", in_dir("server"));
	close(gone);
	gone = new_bound(in_dir("gone"));
	send_text(gone, "6", in_dir("server"));
	close(gone);
	NEED(!unlink(in_dir("gone")));
	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, nameless));
	NEED(!connect(nameless[0], &nobody, sizeof(nobody)));
	send_text(nameless[1], "reached", NULL);
	orphan = new_bound("@orphan");
	gone = new_bound("@no server");
	send_text(named, "early", "@orphan");
	connect_to(orphan, "@no server");
	close(gone);
}

static void build_chain(void)
{
	static const char *const names[] = {"@chain 0", "@chain 1", "@chain 2"};

	for (int i = 0; i < 3; i++)
		chain[i] = new_bound(names[i]);
	connect_to(chain[0], names[1]);
	send_text(chain[0], "for 1", NULL);
	send_text(unconnected, "stranger", names[1]);
	connect_to(chain[1], names[2]);
	send_text(chain[1], "for 2", NULL);
	mutual[0] = new_bound("@mutual 0");
	mutual[1] = new_bound("@mutual 1");
	connect_to(mutual[0], "@mutual 1");
	connect_to(mutual[1], "@mutual 0");
	for (int i = 0; i < 100; i++)
		send_text(mutual[0], i % 2 ? "odd" : "even", NULL);
	send_text(mutual[1], "back", NULL);
	self = new_bound("@self");
	connect_to(self, "@self");
	send_text(self, "me", NULL);
}

static void child(void *unused)
{
	(void)unused;
	close(server);
	child_park();
	how = 0; /* the parent has yet to send */
	need_packet(named, "to 2", in_dir("server"));
	need_packet(unconnected, "to 3", in_dir("server"));
	send_text(plain, "from the child", NULL);
}

static void check_server(pid_t pid)
{
	char path[300];

	snprintf(path, sizeof(path), "%s", in_dir("client"));
	need_packet(server, "1", "");
	need_packet(server, "2", "@named client");
	need_packet(server, "3", path);
	need_packet(server, "4", "");
	need_packet(server, "5", "@gone client");
	need_packet(server, "6", in_dir("gone"));
	send_text(server, "to 2", "@named client");
	send_text(server, "to 3", path);
	need_exit(pid, 0);
	need_packet(server, "from the child", "");
	need_empty(server);
	NEED(access(in_dir("gone"), F_OK) && !access(path, F_OK));
	need_packet(nameless[0], "reached", "");
	send_text(nameless[1], "again", NULL);
	need_packet(nameless[0], "again", "");
	NEED(send(nameless[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == ENOTCONN);
	need_packet(orphan, "early", "@named client");
	NEED(send(orphan, "x", 1, MSG_NOSIGNAL) == -1 && errno == ECONNREFUSED);
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	build_server();
	build_chain();
	pid_t pid = spawn(child, NULL);
	await_child(pid);
	close(named);
	park();
	check_server(pid);
	need_packet(chain[1], "for 1", "@chain 0");
	need_packet(chain[1], "stranger", in_dir("client"));
	need_packet(chain[2], "for 2", "@chain 1");
	need_empty(chain[1]);
	for (int i = 0; i < 100; i++)
		need_packet(mutual[1], i % 2 ? "odd" : "even", "@mutual 0");
	need_empty(mutual[1]);
	need_packet(mutual[0], "back", "@mutual 1");
	send_text(mutual[0], "on", NULL);
	need_packet(mutual[1], "on", "@mutual 0");
	need_packet(self, "me", "@self");
	send_text(self, "again", NULL);
	need_packet(self, "again", "@self");
	struct name n = make_name("@chain 1");
	NEED(sendto(unconnected, "x", 1, 0, (struct sockaddr *)&n.a, n.len) == -1 &&
		errno == EPERM);
	ok();
}
