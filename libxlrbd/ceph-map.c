// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An object that maps keys to values, changed all or nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ceph.h"

/* So many at a time (ceph: osd_max_omap_entries_per_request is 1024). */
#define PAGE		256

static int visit(rados_omap_iter_t iter, xlrbd__map_fn *fn, void *data,
		 char **last)
{
	char *key, *value, *copy;
	size_t length;
	int r;

	for (;;) {
		r = rados_omap_get_next(iter, &key, &value, &length);
		if (r < 0 || !key)
			return r;
		free(*last);
		*last = strdup(key);
		copy = strndup(value, length);
		r = *last && copy ? fn(data, key, copy) : -ENOMEM;
		free(copy);
		if (r)
			return r;
	}
}

static int visit_page(struct xlrbd__ceph *ceph, const char *object,
		      const char *prefix, char **last, unsigned char *more,
		      xlrbd__map_fn *fn, void *data)
{
	rados_read_op_t op = rados_create_read_op();
	rados_omap_iter_t iter = NULL;
	int r, result = 0;

	rados_read_op_omap_get_vals2(op, *last ? *last : "", prefix, PAGE,
				     &iter, more, &result);
	xlrbd__ceph_arm(ceph);
	r = rados_read_op_operate(op, ceph->io, object, 0);
	if (!r)
		r = result;
	if (!r)
		r = visit(iter, fn, data, last);
	if (iter)
		rados_omap_get_end(iter);
	rados_release_read_op(op);
	return r;
}

int xlrbd__ceph_map_each(struct xlrbd__ceph *ceph, const char *object,
			 const char *prefix, xlrbd__map_fn *fn, void *data)
{
	unsigned char more = 1;
	char *last = NULL;
	int r = 0;

	while (!r && more)
		r = visit_page(ceph, object, prefix, &last, &more, fn, data);
	free(last);
	/* Nobody has written to it yet. */
	return r == -ENOENT ? 0 : r;
}

int xlrbd__ceph_map_change(struct xlrbd__ceph *ceph, const char *object,
			   const struct xlrbd__map_change *changes, size_t n)
{
	rados_write_op_t op = rados_create_write_op();
	size_t i, length;
	int r;

	/* Comparing is for objects that exist. */
	rados_write_op_create(op, LIBRADOS_CREATE_IDEMPOTENT, NULL);
	/* A key that is not there is as good as empty (ceph: OMAP_CMP). */
	for (i = 0; i < n; i++)
		rados_write_op_omap_cmp(op, changes[i].key,
					LIBRADOS_CMPXATTR_OP_EQ,
					changes[i].old,
					strlen(changes[i].old), NULL);
	for (i = 0; i < n; i++) {
		length = changes[i].new ? strlen(changes[i].new) : 0;
		if (changes[i].new)
			rados_write_op_omap_set(op, &changes[i].key,
						&changes[i].new, &length, 1);
		else
			rados_write_op_omap_rm_keys(op, &changes[i].key, 1);
	}
	xlrbd__ceph_arm(ceph);
	r = rados_write_op_operate(op, ceph->io, object, NULL, 0);
	rados_release_write_op(op);
	return r;
}
