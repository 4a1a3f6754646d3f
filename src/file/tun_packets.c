/*
 * Packets that wait to be read from a tun or tap device.
 *
 * They are read by the controller, which takes them away, once the verdict is known; and put back
 * as they came there, sent out by the device, from a packet socket: for tasks that live on before
 * these run, at restore when all is done.  A controller that is killed in between loses them, as
 * every link may lose packets.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "file/file_extras.h"
#include "file/tun.h"
#include "kernel/syscalls.h"

enum {
	PACKET_ROOM = 128 * 1024,
	PROTOCOL_INFO = 4, /* struct tun_pi */
	VIRTIO_HEADER = sizeof(struct virtio_net_hdr),
};

/* --- out --- */

/* What stands before a packet: protocol information, and more or less of a virtio header. */
static size_t info_size(const FermataTun *t)
{
	return t->flags & IFF_NO_PI ? 0 : PROTOCOL_INFO;
}

static size_t header_size(const FermataTun *t)
{
	return t->flags & IFF_VNET_HDR ? t->vnet_hdr_size : 0;
}

static int read_one(int fd, char *data)
{
	struct iovec iov = {data, PACKET_ROOM};
	ssize_t n = preadv2(fd, &iov, 1, /* offset= */ 0, RWF_NOWAIT);
	return n < 0 ? -errno : (int)n;
}

int tun_packets_read(struct file_dump *d, int fd, FermataTun *t)
{
	_cleanup_free_ char *data = malloc(PACKET_ROOM);
	VEC(ProtobufCBinaryData) all = {0};
	int n = 0, events = 0;
	if (!data)
		return -ENOMEM;
	/* no more than are there now: the machine may send on */
	while (all.n < t->queue_len + 1u && (events = sys_poll_now(fd, POLLIN)) > 0 &&
		events & POLLIN && (n = read_one(fd, data)) > 0)
		*vec_push(&d->s->arena, &all) = (ProtobufCBinaryData){
			.len = (size_t)n, .data = arena_memdup(&d->s->arena, data, (size_t)n)};
	t->packets = all.v;
	t->n_packets = all.n;
	if (events < 0)
		return events;
	return n < 0 && n != -EAGAIN ? n : 0;
}

/* --- in --- */

static int open_sender(const FermataTun *t)
{
	int one = 1;
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* not to wait behind a queueing discipline */
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	if (t->flags & IFF_VNET_HDR &&
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
		return -errno;
	return take_fd(&fd);
}

static uint16_t protocol_of(const FermataTun *t, const uint8_t *packet)
{
	if (t->flags & IFF_TAP)
		return htons(ETH_P_ALL);
	return htons((packet[0] >> 4) == 6 ? ETH_P_IPV6 : ETH_P_IP);
}

static int send_one(int fd, const FermataTun *t, const ProtobufCBinaryData *p)
{
	size_t info = info_size(t), header = header_size(t);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)t->index};
	struct iovec iov[2] = {{p->data + info, header ? VIRTIO_HEADER : 0},
		{p->data + info + header, p->len - info - header}};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2};
	if (p->len <= info + header || (header && header < VIRTIO_HEADER))
		return -EBADMSG;
	to.sll_protocol = protocol_of(t, iov[1].iov_base);
	return sendmsg(fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

int tun_packets_put_back(const FermataTun *t)
{
	int r = 0;
	_cleanup_close_ int fd = t->n_packets ? open_sender(t) : -1;
	if (t->n_packets && fd < 0)
		return fd;
	for (size_t i = 0; i < t->n_packets && r >= 0; i++)
		r = send_one(fd, t, &t->packets[i]);
	return r;
}
