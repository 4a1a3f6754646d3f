/* What the files about packet sockets share. Internal to src/socket. */
#ifndef FERMATA_SOCKET_PACKET_H
#define FERMATA_SOCKET_PACKET_H

#include "socket/socket.h"

/* packet_ring.c: bytes of both rings, which are mapped in one; 0: none, or not sane */
size_t packet_rings_size(const PacketSockEntry *e);
/* Dump: contents, and where the kernel goes on; blocks what cannot be kept. */
int packet_rings_dump(struct file_dump *d, const struct file_view *v, const PacketSockEntry *e,
	struct dumped_file *f);
/* Restore: sane? */
int packet_rings_check(struct file_set *f, const struct open_file *o);
/* Restore: makes them on a socket without protocol, turns them, fills them. -errno */
int packet_rings_make(const struct open_file *o, int fd);

/*
 * packet_turn.c: has the kernel fill the new ring until it goes on at `turn`. map is the ring. The
 * socket is bound to loopback and has a filter that drops all, lest it takes what the next needs.
 * -errno
 */
int packet_ring_turn(const PacketSockEntry *e, int fd, char *map, uint32_t turn);

/* packet_map.c: dump: whose ring a mapping is */
int packet_link_mappings(struct file_dump *d);

#endif
