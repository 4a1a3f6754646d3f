/* What the machine knows of a tun device, beside the device itself. Internal to src/file. */
#ifndef FERMATA_FILE_TUN_SETTINGS_H
#define FERMATA_FILE_TUN_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "fermata.pb-c.h"

/* TUN_F_* that TUNSETOFFLOAD was given, as far as they are on. */
uint32_t tun_offload(const char *name);
/* Somebody has chosen the root of its queueing disciplines. */
bool tun_has_qdisc(uint32_t index);
/* Sysctls, addresses, neighbours and routes of t->index. 0 or a negative errno. */
int tun_settings_dump(struct arena *a, FermataTun *t, const char *name);
/* Sysctls: before the device is up. */
int tun_settings_restore(const FermataTun *t, const char *name);
/* One of its addresses is this one. */
bool tun_has_address(const FermataTun *t, int family, const void *address);
/* Its own addresses, which nobody else has, count at once: before it is up. */
int tun_trust_addresses(const char *name);
/* The rest, when it is up: sockets can be bound to the addresses then. */
int tun_messages_restore(const FermataTun *t, const char *name);

#endif
