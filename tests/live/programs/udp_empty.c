/*
 * Empty datagrams at the beginning, in the middle and at the end of a queue, alone in another; all
 * have been looked at (MSG_PEEK), which the kernel shows once only. IPv4, IPv6, v4-mapped.
 * PROVES: F156
 */
#include "inet.h"

enum { N_MIXED = 6 };

static const char *const texts[N_MIXED] = {"", "one", "", "", "two", ""};
static int senders[N_ADDRESSES], mixed[N_ADDRESSES], alone[N_ADDRESSES];

static void send_to(int from, int to, const char *text)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	NEED(!getsockname(to, (struct sockaddr *)&name, &len));
	SAME(sendto(from, text, strlen(text), 0, (struct sockaddr *)&name, len), strlen(text));
}

static void look_at_all(int fd)
{
	char c[8];

	set_opt(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	while (recv(fd, c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) >= 0)
		;
	set_opt(fd, SOL_SOCKET, SO_PEEK_OFF, -1);
}

static void need(int fd, const char *text, int sender)
{
	char got[8];
	struct sockaddr_storage from, want;
	socklen_t from_len = sizeof(from), want_len = sizeof(want);
	ssize_t n =
		recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	SAME(n, strlen(text));
	NEED(!memcmp(got, text, strlen(text)) &&
		!getsockname(sender, (struct sockaddr *)&want, &want_len));
	NEED(from_len == want_len && !memcmp(&from, &want, want_len));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	for (int i = 0; i < N_ADDRESSES; i++) {
		senders[i] = bound_socket(i, SOCK_DGRAM, 0, 0, false);
		mixed[i] = bound_socket(i, SOCK_DGRAM, 0, 0, false);
		alone[i] = bound_socket(i, SOCK_DGRAM, 0, 0, false);
		for (int k = 0; k < N_MIXED; k++)
			send_to(senders[i], mixed[i], texts[k]);
		send_to(senders[i], alone[i], "");
		look_at_all(mixed[i]);
		look_at_all(alone[i]);
	}
	park();
	for (int i = 0; i < N_ADDRESSES; i++) {
		for (int k = 0; k < N_MIXED; k++)
			need(mixed[i], texts[k], senders[i]);
		need(alone[i], "", senders[i]);
		char c;
		NEED(recv(mixed[i], &c, 1, MSG_DONTWAIT) < 0 &&
			recv(alone[i], &c, 1, MSG_DONTWAIT) < 0);
	}
	ok();
}
