/* The pages of shared segments: pagemap-shmem-<shmid>.img, addresses are offsets. */
#ifndef FERMATA_MEM_SHMEM_H
#define FERMATA_MEM_SHMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/session.h"

/* Stores size bytes of the file; holes are left out. The position of fd moves. */
int shmem_dump(struct session *s, int fd, uint32_t shmid, uint64_t size);

/* Before anything is forked: the images are there and lie within size bytes. */
int shmem_check(struct session *s, uint32_t shmid, uint64_t size);

/* Writes what was stored into a file of the right size. mapped: it takes no write(2) (hugetlbfs).
 */
int shmem_fill(struct session *s, int fd, uint32_t shmid, bool mapped);

#endif
