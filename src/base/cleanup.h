/* Scope-bound descriptors, streams, directories and mappings; reading a directory. */
#ifndef FERMATA_BASE_CLEANUP_H
#define FERMATA_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE *const *f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR *const *d)
{
	if (*d)
		closedir(*d);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define _cleanup_(fn)    __attribute__((cleanup(fn)))
#define _cleanup_close_  _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_dir_    _cleanup_(cleanup_closedir)
#define _cleanup_free_   _cleanup_(cleanup_free)

/* The next entry, NULL at the end. *err, 0 or what went wrong before, stays if it is set. */
static inline struct dirent *next_entry(DIR *d, int *err)
{
	if (*err < 0)
		return NULL;
	errno = 0;
	struct dirent *e = readdir(d);
	if (!e)
		*err = -errno;
	return e;
}

/* Hands the descriptor on: the variable becomes -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#endif
