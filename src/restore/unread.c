/*
 * Images that belong to a set although a restore does not use them yet: those of namespaces,
 * cgroups and the like.  They must be whole all the same; a set with a damaged one is not to be
 * trusted.
 */
#include "restore/restore_tree.h"

#include "core.pb-c.h"
#include "image/codec.h"

/* Which ids an image has: none, or those of one kind of namespace. */
struct unread {
	enum image_type type;
	size_t offset; /* of the id in task_kobj_ids_entry; 0: the image has none */
};

#define OF_NS(field) offsetof(TaskKobjIdsEntry, field)

static const struct unread unread[] = {
	{IMG_APPARMOR, 0},
	{IMG_BINFMT_MISC, 0},
	{IMG_CGROUP, 0},
	{IMG_CPUINFO, 0},
	{IMG_TIMENS, 0},
	{IMG_IPC_VAR, OF_NS(ipc_ns_id)},
	{IMG_UTSNS, OF_NS(uts_ns_id)},
	{IMG_MOUNTPOINTS, OF_NS(mnt_ns_id)},
	{IMG_NETDEV, OF_NS(net_ns_id)},
	{IMG_NETNS, OF_NS(net_ns_id)},
	{IMG_PIDNS, OF_NS(pid_ns_id)},
	{IMG_USERNS, OF_NS(user_ns_id)},
};

static int read_through(struct session *s, enum image_type type, uint64_t id)
{
	_cleanup_image_reader_ struct image_reader r = IMAGE_READER_NONE;
	ProtobufCMessage *m;
	int more = image_reader_open(s, &r, s->images, type, id);
	while (more >= 0 && r.fd >= 0 && (more = image_read(s, &r, &m)) > 0)
		;
	return more;
}

/* Of the namespaces of the root: those of others, if there are any, are refused elsewhere. */
int restore_check_unread(struct restore *re)
{
	const TaskKobjIdsEntry *ids = re->tree.root->ids;
	int r = 0;
	for (size_t i = 0; i < sizeof(unread) / sizeof(*unread) && r >= 0; i++) {
		const struct unread *u = &unread[i];
		const char *at = u->offset && ids ? (const char *)ids + u->offset : NULL;
		r = read_through(re->s, u->type, at ? *(const uint32_t *)(const void *)at : 0);
	}
	return r;
}
