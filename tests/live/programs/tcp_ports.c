/*
 * One port in many hands: a listener in the parent, fifty connections that it accepted in five
 * children, their client ends in a sixth; two listeners that share a port by SO_REUSEPORT; IPv4 and
 * IPv6 listeners of one number. The flags are afterwards what they were: SO_REUSEADDR was never
 * set.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * PROVES: F167 F168 F158
 */
#include "inet.h"

enum { CHILDREN = 5, EACH = 10, ALL = CHILDREN * EACH };

static struct pair pairs[ALL];
static int listener, group[2], six;

static void worker(void *arg)
{
	int first = *(int *)arg;

	for (int i = 0; i < ALL; i++) {
		close(pairs[i].client);
		if (i < first || i >= first + EACH)
			close(pairs[i].server);
	}
	child_park();
	for (int i = first; i < first + EACH; i++) {
		need_stream(pairs[i].server, 0, 100, i);
		put_stream(pairs[i].server, 0, 100, i + 1);
	}
}

static void clients(void *unused)
{
	(void)unused;
	for (int i = 0; i < ALL; i++)
		close(pairs[i].server);
	close(listener);
	child_park();
	for (int i = 0; i < ALL; i++)
		need_stream(pairs[i].client, 0, 100, i + 1);
}

static void no_reuse(int fd)
{
	SAME(get_opt(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	SAME(get_opt(fd, SOL_SOCKET, SO_REUSEPORT), 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage name;
	pid_t pids[CHILDREN + 1];
	int firsts[CHILDREN];

	setup(argc, argv);
	listener = bound_socket(0, SOCK_STREAM, 0, 0, false);
	NEED(!listen(listener, ALL));
	six = socket(AF_INET6, SOCK_STREAM, 0);
	set_opt(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	socklen_t len = name_at(1, port_of(listener), &name);
	NEED(!bind(six, (struct sockaddr *)&name, len) && !listen(six, 4));
	for (int i = 0; i < 2; i++) {
		len = name_at(0, i ? port_of(group[0]) : 0, &name);
		group[i] = socket(AF_INET, SOCK_STREAM, 0);
		set_opt(group[i], SOL_SOCKET, SO_REUSEPORT, 1);
		NEED(!bind(group[i], (struct sockaddr *)&name, len) && !listen(group[i], 5));
	}
	for (int i = 0; i < ALL; i++) {
		pairs[i] = connect_pair(listener);
		put_stream(pairs[i].client, 0, 100, i);
	}
	for (int i = 0; i < CHILDREN; i++) {
		firsts[i] = i * EACH;
		pids[i] = spawn(worker, &firsts[i]);
		await_child(pids[i]);
	}
	pids[CHILDREN] = spawn(clients, NULL);
	await_child(pids[CHILDREN]);
	for (int i = 0; i < ALL; i++) {
		close(pairs[i].client);
		close(pairs[i].server);
	}
	park();
	no_reuse(listener);
	no_reuse(six);
	SAME(port_of(six), port_of(listener));
	for (int i = 0; i < 2; i++)
		SAME(get_opt(group[i], SOL_SOCKET, SO_REUSEPORT), 1);
	for (int i = 0; i <= CHILDREN; i++)
		need_exit(pids[i], 0);
	for (int i = 0; i < 3; i++)
		connect_pair(i == 2 ? six : listener);
	ok();
}
