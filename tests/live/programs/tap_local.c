/*
 * Sockets at the addresses of a tap device that goes with its descriptor: link-local, which the
 * kernel makes by itself, and one that was added. The device comes back with addresses that can be
 * had at once, though a second of asking for others is the rule, and keeps that rule.
 * DUMP: --tcp-established
 * RESTORE: --tcp-established
 * PROVES: F171 F182
 */
#include "inet.h" /* first: the kernel's headers leave to it what both have */

#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>

#define NAME "tapl"

static const char added[] = "fd00:77::1";
static int device;

/* In /proc/net/if_inet6: "ADDRESS INDEX LENGTH SCOPE FLAGS NAME", no address that is tentative */
static bool address_of(unsigned scope, struct in6_addr *ret)
{
	char text[40], name[20];
	unsigned index, length, is, flags, byte;
	bool found = false;
	FILE *f = fopen("/proc/net/if_inet6", "re");

	if (!f)
		skip("no IPv6");
	while (fscanf(f, "%32s %x %x %x %x %19s", text, &index, &length, &is, &flags, name) == 6) {
		if (strcmp(name, NAME) != 0 || is != scope || flags & 0x40)
			continue;
		for (int i = 0; i < 16 && sscanf(text + 2 * i, "%2x", &byte) == 1; i++)
			ret->s6_addr[i] = byte;
		found = true;
	}
	fclose(f);
	return found;
}

static void await_address(unsigned scope, struct in6_addr *ret)
{
	for (int i = 0; i < 500 && !address_of(scope, ret); i++)
		nap_ms(10);
	NEED(address_of(scope, ret));
}

static void make_device(void)
{
	struct ifreq r = {.ifr_name = NAME, .ifr_flags = IFF_TAP | IFF_NO_PI};
	struct in6_ifreq a = {.ifr6_prefixlen = 64};
	int control = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (device < 0 || control < 0)
		skip("no tun devices, or no IPv6");
	NEED(!ioctl(device, TUNSETIFF, &r));
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	NEED(!ioctl(control, SIOCSIFFLAGS, &r));
	a.ifr6_ifindex = if_nametoindex(NAME);
	NEED(inet_pton(AF_INET6, added, &a.ifr6_addr) == 1);
	NEED(!ioctl(control, SIOCSIFADDR, &a));
	close(control);
}

static int bound(int type, const struct in6_addr *to)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = *to};
	int fd = socket(AF_INET6, type, 0);

	if (IN6_IS_ADDR_LINKLOCAL(to))
		a.sin6_scope_id = if_nametoindex(NAME);
	NEED(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

static int accept_dad(void)
{
	char c;
	int fd = open("/proc/sys/net/ipv6/conf/" NAME "/accept_dad", O_RDONLY);

	NEED(fd >= 0 && read(fd, &c, 1) == 1);
	close(fd);
	return c;
}

static void drain(void)
{
	char packet[2000];

	while (read(device, packet, sizeof(packet)) > 0)
		;
}

int main(int argc, char **argv)
{
	enum { LOCAL, OTHER, N };
	static const unsigned scopes[N] = {0x20, 0};
	struct sockaddr_in6 before[N], now;
	struct in6_addr addresses[N];
	int udp[N], listeners[N], asks;
	socklen_t len = sizeof(now);

	setup(argc, argv);
	make_device();
	asks = accept_dad();
	for (int i = 0; i < N; i++) {
		await_address(scopes[i], &addresses[i]);
		udp[i] = bound(SOCK_DGRAM, &addresses[i]);
		listeners[i] = bound(SOCK_STREAM, &addresses[i]);
		NEED(!listen(listeners[i], 3));
		NEED(!getsockname(udp[i], (struct sockaddr *)&before[i], &len));
	}
	struct pair p = connect_pair(listeners[LOCAL]);
	drain();
	park();
	SAME(accept_dad(), asks);
	for (int i = 0; i < N; i++) {
		NEED(!getsockname(udp[i], (struct sockaddr *)&now, &len));
		NEED(!memcmp(&now, &before[i], sizeof(now)));
		connect_pair(listeners[i]);
	}
	put_stream(p.client, 0, 5000, 1);
	need_stream(p.server, 0, 5000, 1);
	ok();
}
