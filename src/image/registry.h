/* The kinds of image files: names, magics, what their records are and what follows a record. */
#ifndef FERMATA_IMAGE_REGISTRY_H
#define FERMATA_IMAGE_REGISTRY_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
enum image_type {
	/* what a dump writes today */
	IMG_APPARMOR, IMG_AUTOFS, IMG_BINFMT_MISC, IMG_BPFMAP_DATA, IMG_BPFMAP_FILE, IMG_CGROUP,
	IMG_CORE, IMG_CPUINFO, IMG_FDINFO, IMG_FIFO_DATA, IMG_FILE_LOCKS, IMG_FILES, IMG_FS,
	IMG_GHOST_FILE, IMG_IDS, IMG_IFADDR, IMG_INVENTORY, IMG_IP6TABLES, IMG_IPC_MSG,
	IMG_IPC_SEM, IMG_IPC_SHM, IMG_IPC_VAR, IMG_IPTABLES, IMG_IRMAP_CACHE, IMG_MEMFD, IMG_MM,
	IMG_MOUNTPOINTS, IMG_NETDEV, IMG_NETNS, IMG_NETNS_CT, IMG_NETNS_EXP, IMG_NFTABLES,
	IMG_PAGEMAP, IMG_PAGEMAP_SHMEM, IMG_PAGES, IMG_PIDNS, IMG_PIPES_DATA, IMG_PSTREE,
	IMG_REMAP_FPATH, IMG_ROUTE, IMG_ROUTE6, IMG_RULE, IMG_SECCOMP, IMG_SK_QUEUES,
	IMG_STATS_DUMP, IMG_STATS_RESTORE, IMG_TCP_STREAM, IMG_TIMENS, IMG_TMPFS_DEV, IMG_TTY_DATA,
	IMG_TTY_INFO, IMG_USERNS, IMG_UTSNS,
	/* our own, unknown to the reference */
	IMG_FERMATA, IMG_FERMATA_FILES, IMG_FERMATA_CHECKSUMS,
	/* only read, from dumps of old releases */
	IMG_OLD_BINFMT_MISC, IMG_OLD_CREDS, IMG_OLD_EVENTFD, IMG_OLD_EVENTPOLL_TFD,
	IMG_OLD_EVENTPOLL, IMG_OLD_EXT_FILES, IMG_OLD_FANOTIFY_MARK, IMG_OLD_FANOTIFY,
	IMG_OLD_FIFO, IMG_OLD_INETSK, IMG_OLD_INOTIFY_WD, IMG_OLD_INOTIFY, IMG_OLD_ITIMERS,
	IMG_OLD_NETLINKSK, IMG_OLD_NS_FILES, IMG_OLD_PACKETSK, IMG_OLD_PAGES,
	IMG_OLD_PAGES_SHMEM, IMG_OLD_PIDFD, IMG_OLD_PIPES, IMG_OLD_POSIX_TIMERS,
	IMG_OLD_REG_FILES, IMG_OLD_RLIMIT, IMG_OLD_SIGACTS, IMG_OLD_SIGNAL_P, IMG_OLD_SIGNAL_S,
	IMG_OLD_SIGNALFD, IMG_OLD_TIMERFD, IMG_OLD_TMPFS, IMG_OLD_TTY, IMG_OLD_TUNFILE,
	IMG_OLD_UNIXSK, IMG_OLD_VMAS,
	N_IMAGE_TYPES,
};
/* clang-format on */

/* What a file begins with. */
enum image_class {
	IMAGE_NORMAL,	 /* IMAGE_COMMON_MAGIC, then the type's */
	IMAGE_INVENTORY, /* the type's only */
	IMAGE_SERVICE,	 /* IMAGE_SERVICE_MAGIC, then the type's; lives in the work directory */
	IMAGE_RAW,	 /* nothing, content starts at once */
};

#define IMAGE_COMMON_MAGIC  0x54564319u
#define IMAGE_SERVICE_MAGIC 0x55105940u

/* What stands between records, unframed; lengths come from the record before. */
enum image_payload {
	PAYLOAD_NONE,
	PAYLOAD_PIPE,	   /* `bytes` bytes */
	PAYLOAD_SK_PACKET, /* `length` bytes */
	PAYLOAD_TCP,	   /* `inq_len` bytes, then `outq_len` bytes */
	PAYLOAD_BPFMAP,	   /* `keys_bytes` bytes, then `values_bytes` bytes */
	PAYLOAD_IPC_SEM,   /* `nsems` u16, zero-padded to 8 bytes */
	PAYLOAD_IPC_SHM,   /* unless `in_pagemaps`: `size` bytes, zero-padded to 4 */
	PAYLOAD_IPC_MSG,   /* `qnum` nested records, each with `msize` bytes zero-padded to 8 */
	PAYLOAD_GHOST,	 /* the rest of the file, or with `chunks` nested records of `len` bytes */
	PAYLOAD_PAGEMAP, /* no payload; every record after the first is of the nested type */
};

struct image_kind {
	const char *pattern; /* file name; "%u" stands for a decimal id, "%x" for a hexadecimal */
	const char *name;    /* type name as crit prints it; NULL for raw images */
	enum image_class class;
	uint32_t magic;
	const ProtobufCMessageDescriptor *record;
	enum image_payload payload;
	const ProtobufCMessageDescriptor *nested; /* see enum image_payload */
	bool even_if_empty;			  /* written although it has no record */
};

const struct image_kind *image_kind(enum image_type type);

enum { IMAGE_NAME_MAX = 64 };

/* Writes the file name. id is ignored by types without one. */
void image_name(enum image_type type, uint64_t id, char name[static IMAGE_NAME_MAX]);

/* The reverse. Returns false when no type has such a name; of two, the current wins over the old.
 */
bool image_parse_name(const char *name, enum image_type *ret_type, uint64_t *ret_id);

/* First type with these magics, or NULL. Types may share a magic if their records are the same. */
const struct image_kind *image_kind_by_magic(enum image_class class, uint32_t magic);

/* First type that crit calls so, current ones before old ones. Returns false if there is none. */
bool image_type_by_name(const char *name, enum image_type *ret);

#endif
