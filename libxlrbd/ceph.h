/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ceph*.c share; they are the only files that include librados and
 * librbd.
 */
#ifndef XLRBD_CEPH_H
#define XLRBD_CEPH_H

#include <rados/librados.h>

#include "internal.h"

struct xlrbd__ceph {
	rados_t cluster;
	rados_ioctx_t io;
	const struct xlrbd__deadline *deadline;
	int64_t op_timeout_s;	/* as librados was last told */
	char entity[80];	/* "client.xen" */
	char conf[256];
	bool in_use;		/* by others: a thread that never came back, or
				   the one that it is a copy of */
};

/*
 * What fn(@data) returns, which is a call that librados ends when it likes;
 * -ETIMEDOUT if that is not before the deadline.  Then it goes on in a thread,
 * with a copy of the @size bytes.
 */
int xlrbd__ceph_in_time(struct xlrbd__ceph *ceph, int (*fn)(const void *data),
			const void *data, size_t size) XLRBD__CHECKED;

/* ceph-image.c; 1 or 0, -ENOENT if there is none of that name. */
int xlrbd__ceph_name_leads_to(struct xlrbd__ceph *ceph, const char *name,
			      const char *id) XLRBD__CHECKED;

/* Before each call of librados: gives it the time that is left. */
void xlrbd__ceph_arm(struct xlrbd__ceph *ceph);

#endif /* XLRBD_CEPH_H */
