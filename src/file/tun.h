/* Tun and tap devices, for the descriptors that are attached to them. Internal to src/file. */
#ifndef FERMATA_FILE_TUN_H
#define FERMATA_FILE_TUN_H

#include "file/dumping.h"
#include "file/restoring.h"

/*
 * Dump: all of the device that fd is attached to, *ret NULL if it is attached to none; blocks what
 * cannot be kept.  *ret_name is the device's, *ret_detached tells that its queue is switched off.
 */
int tun_device_dump(struct file_dump *d, const struct file_view *v, FermataTun **ret,
	const char **ret_name, bool *ret_detached);

/* Restore: is there such a device, or room for one? 0 or a negative errno with the failure. */
int tun_device_check(
	struct file_set *f, const struct open_file *o, const FermataTun *t, const char *name);
/* Restore: attaches fd, a new /dev/net/tun; the device is made again if it is not there. */
int tun_device_attach(struct file_set *f, const struct open_file *o, const FermataTun *t,
	const char *name, int fd);

/* tun_packets.c: takes what waits to be read into t->packets. 0 or a negative errno. */
int tun_packets_read(struct file_dump *d, int fd, FermataTun *t);
/* Sends them out by the device again, so that they wait once more; they stay in t. */
int tun_packets_put_back(const FermataTun *t);

#endif
