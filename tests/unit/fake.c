// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

struct fake fake;

/* Any pointer will do: the library never looks inside. */
char fake_handle;

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake_map_reset();
	strcpy(fake.params, "rbd:web1");
	strcpy(fake.vdev, "xvda");
	strcpy(fake.domain, "web1");
	strcpy(fake.uuid, "82de1d03-0000-4000-8000-000000000001");
	fake.writable = true;
	fake.features = 0x3d;
	fake.fail_at = -1;
	fake.fail_rc = -EIO;
	fake.dead_from = INT_MAX;
}

int fake_step(struct xlrbd_ctx *ctx, const char *name)
{
	size_t used = strlen(fake.journal);
	bool fails;

	if (fake.on_step)
		fake.on_step(name);
	fails = fake.n_steps == fake.fail_at || fake.n_steps >= fake.dead_from;
	fake.n_steps++;
	snprintf(fake.journal + used, sizeof(fake.journal) - used, "%s%s",
		 used ? " " : "", name);
	if (fails && ctx)
		xlrbd__fail(ctx, fake.fail_rc, "%s failed", name);
	return fails ? fake.fail_rc : 0;
}

/* store.c */

int xlrbd__vbd_parse_path(struct xlrbd_ctx *ctx, const char *path,
			  struct xlrbd__vbd *vbd_out)
{
	(void)path;
	memset(vbd_out, 0, sizeof(*vbd_out));
	vbd_out->domid = 1;
	vbd_out->devid = 51712;
	return fake_step(ctx, "parse-path");
}

void xlrbd__vbd_dispose(struct xlrbd__vbd *vbd)
{
	free(vbd->params);
	memset(vbd, 0, sizeof(*vbd));
}

int xlrbd__store_open(struct xlrbd_ctx *ctx, struct xlrbd__store **store_out)
{
	int rc = fake_step(ctx, "store-open");

	if (rc < 0)
		return rc;
	*store_out = (struct xlrbd__store *)&fake_handle;
	fake.stores++;
	return 0;
}

void xlrbd__store_close(struct xlrbd__store *store)
{
	if (store)
		fake.stores--;
}

int xlrbd__store_read_vbd(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			  struct xlrbd__vbd *vbd)
{
	(void)store;
	vbd->params = strdup(fake.params);
	vbd->writable = fake.writable;
	vbd->published = fake.published;
	strcpy(vbd->domain, fake.domain);
	vbd->nameless = fake.nameless;
	strcpy(vbd->vdev, fake.vdev);
	strcpy(vbd->uuid, fake.uuid);
	return fake_step(ctx, "read-vbd");
}

bool xlrbd__store_domain_exists(struct xlrbd__store *store,
				unsigned int domid, const char *uuid)
{
	(void)store;
	(void)domid;
	(void)uuid;
	return fake.domain_exists;
}

bool xlrbd__store_vbd_exists(struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd)
{
	(void)store;
	(void)vbd;
	return fake.vbd_exists;
}

bool xlrbd__store_vbd_is_closed(struct xlrbd__store *store,
				const struct xlrbd__vbd *vbd)
{
	(void)store;
	(void)vbd;
	return fake.closed;
}

int xlrbd__store_publish(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			 const struct xlrbd__vbd *vbd,
			 const struct xlrbd__device *device,
			 const struct xlrbd__deadline *deadline)
{
	int rc = fake_step(ctx, "publish");

	(void)store;
	(void)vbd;
	(void)device;
	(void)deadline;
	if (!rc && fake.publish_fails)
		rc = xlrbd__fail(ctx, -ECANCELED, "publish failed");
	if (!rc)
		fake.published_by_us = true;
	return rc;
}

int xlrbd__store_report(struct xlrbd_ctx *ctx, struct xlrbd__store *store,
			const struct xlrbd__vbd *vbd, const char *message)
{
	(void)store;
	(void)vbd;
	(void)message;
	return fake_step(ctx, "report");
}

/* run.c */

int xlrbd__run_write(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		     const struct xlrbd__record *record)
{
	int rc = fake_step(ctx, "record");

	(void)vbd;
	if (rc < 0)
		return rc;
	fake.recorded = true;
	fake.record = *record;
	memset(&fake.record.spec, 0, sizeof(fake.record.spec));
	fake.has_line = record->line != NULL;
	fake.record.line = NULL;
	snprintf(fake.awaits, sizeof(fake.awaits), "%s",
		 record->awaits ? record->awaits : "");
	fake.record.awaits = NULL;
	return 0;
}

int xlrbd__run_read(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
		    struct xlrbd__record *record_out)
{
	int rc = fake_step(ctx, "read-record");

	(void)vbd;
	memset(record_out, 0, sizeof(*record_out));
	if (rc < 0)
		return rc;
	if (!fake.recorded)
		return -ENOENT;
	*record_out = fake.record;
	record_out->line = fake.has_line ? strdup("line") : NULL;
	record_out->awaits = fake.awaits[0] ? strdup(fake.awaits) : NULL;
	return 0;
}

int xlrbd__run_list(struct xlrbd_ctx *ctx, struct xlrbd__vbd **vbds_out,
		    size_t *n_out)
{
	int rc = fake_step(ctx, "list-records");

	*n_out = rc < 0 ? 0 : fake.recorded;
	*vbds_out = calloc(1, sizeof(**vbds_out));
	strcpy((*vbds_out)->path, "backend/vbd/1/51712");
	(*vbds_out)->domid = 1;
	(*vbds_out)->devid = fake.other_vbd ? 51728 : 51712;
	return rc;
}

int xlrbd__run_delete(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd)
{
	int rc = fake_step(ctx, "forget");

	(void)vbd;
	if (!rc)
		fake.recorded = false;
	return rc;
}

int xlrbd__run_lock_vbd(struct xlrbd_ctx *ctx, const struct xlrbd__vbd *vbd,
			const struct xlrbd__deadline *deadline, int *fd_out)
{
	int rc = fake_step(ctx, "lock-vbd");

	(void)vbd;
	(void)deadline;
	if (rc < 0)
		return rc;
	fake.vbd_locked = true;
	*fd_out = 1000;
	return 0;
}

int xlrbd__run_lock_image(struct xlrbd_ctx *ctx,
			  const struct xlrbd__image *image,
			  const struct xlrbd__deadline *deadline, int *fd_out)
{
	int rc = fake_step(ctx, "lock-image");

	(void)image;
	(void)deadline;
	if (rc < 0)
		return rc;
	fake.image_locked = true;
	*fd_out = 1001;
	return 0;
}

int xlrbd__run_lock_arrival(struct xlrbd_ctx *ctx, const char *uuid,
			    const struct xlrbd__deadline *deadline,
			    int *fd_out)
{
	int rc = fake_step(ctx, "lock-arrival");

	(void)uuid;
	(void)deadline;
	if (!rc && fake.arrival_locked)
		rc = xlrbd__fail(ctx, -ETIMEDOUT, "another helper holds it");
	if (rc < 0)
		return rc;
	fake.arrival_locked = true;
	*fd_out = 1002;
	return 0;
}

void xlrbd__run_unlock(int fd)
{
	if (fd == 1000)
		fake.vbd_locked = false;
	if (fd == 1001)
		fake.image_locked = false;
	if (fd == 1002)
		fake.arrival_locked = false;
}

/* krbd.c, blkback.c, host.c, access.c */

int xlrbd__krbd_check(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      bool read_only, const char *what)
{
	(void)image;
	(void)read_only;
	(void)what;
	return fake_step(ctx, "krbd-check");
}

int xlrbd__krbd_map(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		    const struct xlrbd__access *access, const char *line,
		    const char *what,
		    const struct xlrbd__deadline *deadline,
		    struct xlrbd__device *device_out)
{
	int rc = fake_step(ctx, line);

	(void)image;
	(void)access;
	(void)what;
	(void)deadline;
	if (!rc && fake.shared_client_is_fenced && !strstr(line, "noshare"))
		rc = xlrbd__fail(ctx, -ESHUTDOWN, "fenced");
	if (rc < 0)
		return rc;
	fake.mapped = true;
	device_out->id = 7;
	strcpy(device_out->client_addr, "10.77.0.11:0/42");
	return 0;
}

char *xlrbd__krbd_line(const struct xlrbd__image *image,
		       const struct xlrbd__access *access, const char *options,
		       bool read_only)
{
	char *line;

	(void)image;
	(void)access;
	if (asprintf(&line, "map%s%s%s", read_only ? "-ro" : "",
		     options ? "," : "", options ? options : "") < 0)
		return NULL;
	return line;
}

int xlrbd__krbd_find_lost(const struct xlrbd__image *image, const char *line,
			  const int *claimed, size_t n_claimed,
			  struct xlrbd__device *device_out)
{
	(void)image;
	(void)line;
	(void)claimed;
	(void)n_claimed;
	fake_step(NULL, "find-lost");
	if (!fake.mapped)
		return -ENOENT;
	device_out->id = 7;
	return 0;
}

bool xlrbd__krbd_has_client(const char *addr)
{
	return fake.mapped && !strcmp(addr, "10.77.0.11:0/42");
}

bool xlrbd__krbd_has_map(const struct xlrbd__image *image, const char *addr)
{
	(void)image;
	return xlrbd__krbd_has_client(addr);
}

bool xlrbd__krbd_is_mapped(const struct xlrbd__image *image,
			   const struct xlrbd__device *device)
{
	(void)image;
	return device->id == 7 && xlrbd__krbd_has_client(device->client_addr);
}

int xlrbd__krbd_stat(const struct xlrbd__device *device,
		     char out[XLRBD__STAT_MAX])
{
	(void)device;
	fake.n_looks++;
	if (!fake.mapped)
		return -ENOENT;
	if (fake.looks_busy)
		fake.looks_busy--;
	snprintf(out, XLRBD__STAT_MAX, "%d", fake.looks_busy);
	if (!fake.looks_in_flight)
		return 0;
	fake.looks_in_flight--;
	return 1;
}

bool xlrbd__host_has_address(const char *addr)
{
	return !strncmp(addr, "10.77.0.11:", 11);
}

int xlrbd__krbd_unmap(struct xlrbd_ctx *ctx, const struct xlrbd__image *image,
		      const struct xlrbd__device *device, const char *what,
		      const struct xlrbd__deadline *deadline)
{
	int rc;

	(void)image;
	(void)what;
	(void)deadline;
	if (device->id < 0)
		return 0;
	rc = fake_step(ctx, "unmap");
	if (!rc)
		fake.mapped = false;
	return rc;
}

int xlrbd__blkback_wait_gone(struct xlrbd_ctx *ctx,
			     struct xlrbd__store *store,
			     const struct xlrbd__vbd *vbd,
			     const struct xlrbd__deadline *deadline)
{
	(void)store;
	(void)vbd;
	(void)deadline;
	return fake_step(ctx, "blkback-gone");
}

int xlrbd__host_read(struct xlrbd_ctx *ctx, struct xlrbd__host *host_out)
{
	strcpy(host_out->name, "xen1");
	strcpy(host_out->machine_id, "11111111111111111111111111111111");
	strcpy(host_out->boot_id, "22222222-2222-2222-2222-222222222222");
	return fake_step(ctx, "host");
}

int xlrbd__access_find(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd_spec *spec,
		       struct xlrbd__access *access_out)
{
	(void)ceph;
	(void)spec;
	memset(access_out, 0, sizeof(*access_out));
	return fake_step(ctx, "access");
}

void xlrbd__access_wipe(struct xlrbd__access *access)
{
	(void)access;
}

int xlrbd__pool_check_full(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image)
{
	(void)ceph;
	(void)image;
	return fake_step(ctx, "check-full");
}
