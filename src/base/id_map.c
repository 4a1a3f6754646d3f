/* Linear probing; the table is at most half full, so every search meets a free slot. */
#include "base/id_map.h"

enum { FIRST_ROOM = 64 };

static size_t first_slot(const struct id_map *m, uint64_t key)
{
	key = (key ^ key >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 32) & (m->room - 1);
}

static struct id_slot *find(const struct id_map *m, uint64_t key)
{
	size_t at = first_slot(m, key);
	while (m->slots[at].value && m->slots[at].key != key)
		at = (at + 1) & (m->room - 1);
	return &m->slots[at];
}

void *id_map_get(const struct id_map *m, uint64_t key)
{
	return m->room ? find(m, key)->value : NULL;
}

static void grow(struct arena *a, struct id_map *m)
{
	struct id_map larger = {.n = m->n, .room = m->room ? m->room * 2 : FIRST_ROOM};
	larger.slots = arena_array(a, struct id_slot, larger.room);
	for (size_t i = 0; i < m->room; i++)
		if (m->slots[i].value)
			*find(&larger, m->slots[i].key) = m->slots[i];
	*m = larger;
}

void id_map_put(struct arena *a, struct id_map *m, uint64_t key, void *value)
{
	if (2 * (m->n + 1) > m->room)
		grow(a, m);
	struct id_slot *slot = find(m, key);
	m->n += !slot->value;
	*slot = (struct id_slot){key, value};
}
