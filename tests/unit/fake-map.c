// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ceph-map.c's object, in memory: changed all or nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define PAIRS_MAX 64

static struct {
	char *key, *value;
} pairs[PAIRS_MAX];
static size_t n_pairs;

void fake_map_reset(void)
{
	while (n_pairs) {
		free(pairs[--n_pairs].key);
		free(pairs[n_pairs].value);
	}
}

const char *fake_map_get(const char *key)
{
	size_t i;

	for (i = 0; i < n_pairs; i++)
		if (!strcmp(pairs[i].key, key))
			return pairs[i].value;
	return "";
}

void fake_map_set(const char *key, const char *value)
{
	size_t i;

	for (i = 0; i < n_pairs && strcmp(pairs[i].key, key) != 0; i++)
		;
	if (i < n_pairs) {
		free(pairs[i].key);
		free(pairs[i].value);
		pairs[i] = pairs[--n_pairs];
	}
	if (!value)
		return;
	pairs[n_pairs].key = strdup(key);
	pairs[n_pairs++].value = strdup(value);
}

size_t fake_map_size(void)
{
	return n_pairs;
}

static int by_key(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

char *fake_map_text(void)
{
	char *text = strdup(""), *more;
	size_t i;

	qsort(pairs, n_pairs, sizeof(pairs[0]), by_key);
	for (i = 0; text && i < n_pairs; i++) {
		if (asprintf(&more, "%s%s = %s\n", text, pairs[i].key,
			     pairs[i].value) < 0)
			more = NULL;
		free(text);
		text = more;
	}
	return text;
}

int xlrbd__ceph_map_change(struct xlrbd__ceph *ceph, const char *object,
			   const struct xlrbd__map_change *changes, size_t n)
{
	int rc = fake_step(NULL, "map-change");
	size_t i;

	(void)ceph;
	(void)object;
	if (rc < 0)
		return rc;
	if (fake.on_change)
		fake.on_change();
	for (i = 0; i < n; i++)
		if (strcmp(fake_map_get(changes[i].key), changes[i].old) != 0)
			return -ECANCELED;
	for (i = 0; i < n; i++)
		fake_map_set(changes[i].key, changes[i].new);
	return 0;
}

int xlrbd__ceph_map_each(struct xlrbd__ceph *ceph, const char *object,
			 const char *prefix, xlrbd__map_fn *fn, void *data)
{
	int rc = fake_step(NULL, "map-each");
	size_t i;

	(void)ceph;
	(void)object;
	qsort(pairs, n_pairs, sizeof(pairs[0]), by_key);
	for (i = 0; !rc && i < n_pairs; i++)
		if (!strncmp(pairs[i].key, prefix, strlen(prefix)))
			rc = fn(data, pairs[i].key, pairs[i].value);
	return rc;
}

int xlrbd__ceph_enter(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const struct xlrbd_spec *spec,
		      struct xlrbd__image *image)
{
	(void)ceph;
	(void)spec;
	memset(image, 0, sizeof(*image));
	return fake_step(ctx, "enter");
}
