/*
 * What a removed file has beside its content: extended attributes, ACLs, a capability, inode flags
 * (also of one that cannot be opened for writing any more), of files with and without a descriptor,
 * of a directory; one of O_TMPFILE; an ACL that was taken away where the directory gives one.
 * PROVES: F103 F111
 */
#include "check.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

enum { FLAGS = FS_APPEND_FL | FS_IMMUTABLE_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL };

/* user::rw-, user:1000:r--, group::r--, mask::rw-, other::--- */
static const char acl[] = "\2\0\0\0\1\0\6\0\377\377\377\377\2\0\4\0\350\3\0\0"
			  "\4\0\4\0\377\377\377\377\20\0\6\0\377\377\377\377\40\0\0\0\377\377\377\377";
/* cap_net_raw+ep, revision 2 */
static const char capability[20] = "\1\0\0\2\0\40";
static char big[3000];

static int create(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_EXCL, 0600);

	NEED(fd >= 0 && write(fd, "some", 4) == 4);
	return fd;
}

static int flags_of(int fd)
{
	int flags = 0;

	NEED(!ioctl(fd, FS_IOC_GETFLAGS, &flags));
	return flags & FLAGS;
}

static void set_flags(int fd, int add)
{
	int flags;

	NEED(!ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= add;
	NEED(!ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static void need_xattr(int fd, const char *name, const void *value, ssize_t len)
{
	static char now[4000];

	SAME(fgetxattr(fd, name, now, sizeof(now)), len);
	NEED(len < 0 || !memcmp(now, value, len));
}

int main(int argc, char **argv)
{
	setup(argc, argv);
	fill(big, 2992, 7);
	int plain = create("plain"), full = create("full"), append = create("append");
	int fixed = create("fixed"), bare, mapped = create("mapped"), none = create("none");
	NEED(!mkdir(in_dir("dir"), 0700) && !mkdir(in_dir("acls"), 0700));
	int directory = open(in_dir("dir"), O_RDONLY);
	int unnamed = open(dir, O_TMPFILE | O_RDWR, 0600);
	int probe = 0;
	if (unnamed < 0 || ioctl(plain, FS_IOC_GETFLAGS, &probe) < 0 ||
		fsetxattr(plain, "user.x", "", 0, 0) < 0)
		skip("the filesystem has no inode flags, attributes or O_TMPFILE");
	NEED(!setxattr(in_dir("acls"), "system.posix_acl_default", acl, 44, 0));
	bare = create("acls/bare");
	NEED(!fremovexattr(bare, "system.posix_acl_access") && !fchmod(bare, 0600));
	NEED(!fsetxattr(bare, "user.bare", "1", 1, 0));

	NEED(!fchown(full, 12, 34) && !fchmod(full, 06711));
	NEED(!fsetxattr(full, "user.text", "value", 5, 0) && !fsetxattr(full, "user.big", big, 2900, 0));
	NEED(!fsetxattr(full, "trusted.own", "t", 1, 0));
	NEED(!fsetxattr(full, "system.posix_acl_access", acl, 44, 0));
	NEED(!fsetxattr(full, "security.capability", capability, 20, 0));
	NEED(!fsetxattr(directory, "system.posix_acl_default", acl, 44, 0));
	NEED(!fsetxattr(unnamed, "user.unnamed", "u", 1, 0));
	NEED(!fsetxattr(mapped, "user.mapped", "m", 1, 0));
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	NEED(memory != MAP_FAILED && !close(mapped));
	for (int i = 0; i < 6; i++)
		NEED(!unlink(in_dir((const char *[]){
			"plain", "full", "append", "fixed", "mapped", "none"}[i])));
	NEED(!unlink(in_dir("acls/bare")) && !rmdir(in_dir("dir")));
	set_flags(append, FS_APPEND_FL | FS_NODUMP_FL);
	set_flags(fixed, FS_IMMUTABLE_FL);
	set_flags(unnamed, FS_NOATIME_FL | FS_SYNC_FL);
	set_flags(directory, FS_NODUMP_FL);
	struct stat st;
	NEED(!fstat(full, &st));
	mode_t mode = st.st_mode;
	park();
	need_xattr(plain, "user.x", "", 0);
	need_xattr(full, "user.text", "value", 5);
	need_xattr(full, "user.big", big, 2900);
	need_xattr(full, "trusted.own", "t", 1);
	need_xattr(full, "system.posix_acl_access", acl, 44);
	need_xattr(full, "security.capability", capability, 20);
	NEED(!fstat(full, &st));
	SAME(st.st_mode, mode);
	SAME(st.st_uid, 12);
	need_xattr(directory, "system.posix_acl_default", acl, 44);
	need_xattr(unnamed, "user.unnamed", "u", 1);
	need_xattr(bare, "user.bare", "1", 1);
	need_xattr(bare, "system.posix_acl_access", NULL, -1);
	SAME(flistxattr(none, NULL, 0), 0);
	char path[80];
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)memory, (long)memory + PAGE);
	int again = open(path, O_RDWR);
	NEED(again >= 0);
	need_xattr(again, "user.mapped", "m", 1);
	SAME(flags_of(none), 0);
	SAME(flags_of(append), FS_APPEND_FL | FS_NODUMP_FL);
	SAME(flags_of(fixed), FS_IMMUTABLE_FL);
	SAME(flags_of(unnamed), FS_NOATIME_FL | FS_SYNC_FL);
	SAME(flags_of(directory), FS_NODUMP_FL);
	NEED(pwrite(fixed, "x", 1, 0) == -1 && errno == EPERM);
	NEED(pread(fixed, path, 4, 0) == 4 && !memcmp(path, "some", 4));
	ok();
}
