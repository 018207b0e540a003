// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the kernel has to be told to reach an image: monitors and a key.
 */
#include "config.h"

#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int xlrbd__pool_check_full(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			   const struct xlrbd__image *image)
{
	char *details;
	bool full;
	int rc;

	rc = xlrbd__ceph_ask(ctx, ceph,
			     "{\"prefix\": \"osd pool ls\", \"detail\": \"detail\", \"format\": \"json\"}",
			     &details);
	if (rc < 0)
		return rc;
	full = xlrbd__mon_pool_is_full(details, image->pool_id) ||
	       xlrbd__mon_pool_is_full(details, image->data_pool_id);
	free(details);
	if (full)
		return xlrbd__fail(ctx, -ENOSPC,
				   "pool %s (or its image's data pool) is full: a writer would hang at its first write; free space or raise the quota, see `ceph df`",
				   image->pool);
	return 0;
}

static int find_monitors(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			 const struct xlrbd_spec *spec,
			 struct xlrbd__access *access)
{
	const char *options = spec->map_options ? spec->map_options : "";
	const char *ms_mode = strstr(options, "ms_mode=");
	char *dump;
	int rc;

	rc = xlrbd__ceph_ask(ctx, ceph,
			     "{\"prefix\": \"mon dump\", \"format\": \"json\"}",
			     &dump);
	if (rc < 0)
		return rc;
	/*
	 * Messenger v1 is krbd's default; it must be told to speak v2, and
	 * speaks either to the addresses of that kind only.
	 */
	if (!ms_mode || !strncmp(ms_mode, "ms_mode=legacy", 14))
		access->monitors = xlrbd__mon_addresses(dump, "v1");
	if (!access->monitors) {
		access->monitors = xlrbd__mon_addresses(dump, "v2");
		if (!ms_mode)
			access->ms_mode = "ms_mode=prefer-crc";
	}
	free(dump);
	if (!access->monitors)
		return xlrbd__fail(ctx, -EPROTO,
				   "the monitors do not tell their addresses");
	return 0;
}

static int find_key(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		    struct xlrbd__access *access)
{
	char paths[2048] = "", methods[64] = "", base64[256] = "";
	int r;

	xlrbd__ceph_conf(ceph, "auth_client_required", methods,
			 sizeof(methods));
	if (!strstr(methods, "cephx"))
		return 0;
	/* The same order as librados' own: key=, then the keyrings. */
	xlrbd__ceph_conf(ceph, "key", base64, sizeof(base64));
	if (!base64[0]) {
		xlrbd__ceph_conf(ceph, "keyring", paths, sizeof(paths));
		r = xlrbd__keyring_read(paths, access->entity, base64,
					sizeof(base64));
		if (r < 0)
			return xlrbd__fail(ctx, r, "key of %s in %s: %s",
					   access->entity, paths,
					   strerror(-r));
	}
	r = b64_pton(base64, access->key, sizeof(access->key));
	explicit_bzero(base64, sizeof(base64));
	if (r <= 0)
		return xlrbd__fail(ctx, -EINVAL,
				   "key of %s in %s: not base64", access->entity,
				   paths);
	access->key_len = r;
	return 0;
}

int xlrbd__access_find(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const struct xlrbd_spec *spec,
		       struct xlrbd__access *access_out)
{
	int rc;

	memset(access_out, 0, sizeof(*access_out));
	snprintf(access_out->entity, sizeof(access_out->entity), "%s",
		 xlrbd__ceph_entity(ceph));
	rc = find_monitors(ctx, ceph, spec, access_out);
	if (!rc)
		rc = find_key(ctx, ceph, access_out);
	if (rc < 0)
		xlrbd__access_wipe(access_out);
	return rc;
}

void xlrbd__access_wipe(struct xlrbd__access *access)
{
	free(access->monitors);
	explicit_bzero(access, sizeof(*access));
}
