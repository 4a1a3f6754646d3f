/* For harnesses whose input is a set of images: one of them is changed, left out, or another's. */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "set.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
	uint8_t *out, size_t out_max, unsigned seed);

static size_t take_apart(
	const uint8_t *data, size_t size, struct set_file files[static SET_FILES_MAX])
{
	size_t n = 0;
	for (const uint8_t *p = data; n < SET_FILES_MAX && set_next(&p, data + size, &files[n]);)
		n++;
	return n;
}

/* Those that fit. */
static size_t put_together(const struct set_file *files, size_t n, uint8_t *out, size_t max)
{
	uint8_t *end = out;
	for (size_t i = 0; i < n; i++)
		if ((size_t)(end - out) + SET_HEAD_MAX + files[i].size <= max)
			end = set_put(end, files[i].name, files[i].data, files[i].size);
	return (size_t)(end - out);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct dice d = {.state = seed};
	struct set_file files[SET_FILES_MAX];
	_cleanup_free_ uint8_t *before = malloc(size + 1), *one = malloc(max_size + 1);
	MUST(before && one);
	memcpy(before, data, size);
	size_t n = take_apart(before, size, files);
	if (!n)
		return LLVMFuzzerMutate(data, size, max_size);
	struct set_file *f = &files[roll(&d, n)];
	if (!roll(&d, 64))
		*f = files[--n];
	else {
		size_t max = max_size - size + f->size;
		memcpy(one, f->data, f->size);
		f->size = (uint32_t)mutate_image(&d, one, f->size, max < max_size ? max : max_size);
		f->data = one;
	}
	return put_together(files, n, data, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
	uint8_t *out, size_t out_max, unsigned seed)
{
	struct dice d = {.state = seed};
	struct set_file mine[SET_FILES_MAX], theirs[SET_FILES_MAX];
	size_t n = take_apart(a, a_size, mine), n_theirs = take_apart(b, b_size, theirs), i = 0;
	if (!n_theirs)
		return put_together(mine, n, out, out_max);
	const struct set_file *f = &theirs[roll(&d, n_theirs)];
	while (i < n && mine[i].type != f->type)
		i++;
	if (i < n) {
		mine[i].data = f->data; /* under the name that it has here */
		mine[i].size = f->size;
	} else if (n < SET_FILES_MAX) {
		mine[n++] = *f;
	}
	return put_together(mine, n, out, out_max);
}
