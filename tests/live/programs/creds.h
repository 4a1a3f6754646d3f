/* A task's credentials as the kernel tells them, to be compared before and after. */
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>

struct creds {
	uid_t uid[3], fsuid;
	gid_t gid[3], fsgid;
	int groups_n, securebits, no_new_privs;
	gid_t groups[100];
	uint32_t caps[6], bounding[2], ambient[2];
};

static UNUSED void get_caps(struct creds *c)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};

	NEED(!syscall(SYS_capget, &head, c->caps));
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap) == 1)
			c->bounding[cap / 32] |= 1U << cap % 32;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			c->ambient[cap / 32] |= 1U << cap % 32;
	}
}

static UNUSED void get_creds(struct creds *c)
{
	memset(c, 0, sizeof(*c));
	NEED(!getresuid(&c->uid[0], &c->uid[1], &c->uid[2]));
	NEED(!getresgid(&c->gid[0], &c->gid[1], &c->gid[2]));
	c->fsuid = syscall(SYS_setfsuid, -1);
	c->fsgid = syscall(SYS_setfsgid, -1);
	c->groups_n = syscall(SYS_getgroups, 100, c->groups);
	NEED(c->groups_n >= 0);
	c->securebits = prctl(PR_GET_SECUREBITS);
	c->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	get_caps(c);
}

static UNUSED void same_creds(const struct creds *a, const struct creds *b)
{
	for (int i = 0; i < 3; i++) {
		SAME(b->uid[i], a->uid[i]);
		SAME(b->gid[i], a->gid[i]);
	}
	SAME(b->fsuid, a->fsuid);
	SAME(b->fsgid, a->fsgid);
	SAME(b->groups_n, a->groups_n);
	NEED(!memcmp(b->groups, a->groups, sizeof(a->groups)));
	SAME(b->securebits, a->securebits);
	SAME(b->no_new_privs, a->no_new_privs);
	for (int i = 0; i < 6; i++)
		SAME(b->caps[i], a->caps[i]);
	for (int i = 0; i < 2; i++) {
		SAME(b->bounding[i], a->bounding[i]);
		SAME(b->ambient[i], a->ambient[i]);
	}
}

/* Set the three sets of the calling thread; every set is one 64-bit mask. */
static UNUSED void set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{effective, permitted, inheritable},
		{effective >> 32, permitted >> 32, inheritable >> 32}};

	NEED(!syscall(SYS_capset, &head, data));
}

#define CAP(name) (1UL << CAP_##name)
