/* Multicast memberships of a socket, kept as options of fermata-files.img. */
#ifndef FERMATA_SOCKET_MULTICAST_H
#define FERMATA_SOCKET_MULTICAST_H

#include "socket/inet.h"

/* Before anything is forked: the interfaces are there. */
int multicast_check(struct file_set *f, const struct open_file *o);

void multicast_dump(struct file_dump *d, int fd, const InetSkEntry *e, struct dumped_file *f);

#endif
