/* Numbers to objects: open addressing, in an arena, nothing is ever removed. */
#ifndef FERMATA_BASE_ID_MAP_H
#define FERMATA_BASE_ID_MAP_H

#include <stdint.h>

#include "base/arena.h"

struct id_map {
	struct id_slot {
		uint64_t key;
		void *value; /* NULL: free */
	} * slots;
	size_t n, room; /* room is 0 or a power of two */
};

/* NULL when there is none. */
void *id_map_get(const struct id_map *m, uint64_t key);

/* value must not be NULL; replaces an earlier one. */
void id_map_put(struct arena *a, struct id_map *m, uint64_t key, void *value);

#endif
