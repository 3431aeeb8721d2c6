################################################################################
#
# vipd
#
################################################################################

VIPD_VERSION = 0.2.1
VIPD_SOURCE = vipd-$(VIPD_VERSION).tar.xz
VIPD_SITE = $(DL_DIR)/vipd
VIPD_SITE_METHOD = file
VIPD_LICENSE = Apache-2.0
VIPD_LICENSE_FILES = LICENSE
VIPD_DEPENDENCIES = host-pkgconf c-ares libcurl libmnl rapidjson

define VIPD_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(TARGET_CONFIGURE_OPTS) \
		CXXFLAGS="$(TARGET_CXXFLAGS) -include tools/static/musl.h" \
		$(MAKE) -C $(@D) LDHARDEN=-pie WERROR= all
endef

define VIPD_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 755 $(@D)/build/vipd $(TARGET_DIR)/usr/sbin/vipd
	ln -sfn ../sbin/vipd $(TARGET_DIR)/usr/bin/vipctl
endef

# The packet fence (with clsact, and tcx from Linux 6.6 on), resets of connections, the filter of
# system calls.
define VIPD_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_PACKET)
	$(call KCONFIG_ENABLE_OPT,CONFIG_INET_DIAG)
	$(call KCONFIG_ENABLE_OPT,CONFIG_INET_DIAG_DESTROY)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP_FILTER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_BPF_SYSCALL)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_SCHED)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_CLS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_CLS_ACT)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_CLS_BPF)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_SCH_INGRESS)
endef

define VIPD_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 755 $(@D)/contrib/init/sysv/vipd $(TARGET_DIR)/etc/init.d/S90vipd
endef

define VIPD_INSTALL_INIT_OPENRC
	$(INSTALL) -D -m 755 $(@D)/contrib/init/openrc/vipd $(TARGET_DIR)/etc/init.d/vipd
	$(INSTALL) -D -m 755 $(@D)/contrib/init/respawned $(TARGET_DIR)/usr/share/vipd/respawned
endef

define VIPD_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 644 $(@D)/contrib/init/systemd/vipd.service \
		$(TARGET_DIR)/usr/lib/systemd/system/vipd.service
endef

$(eval $(generic-package))
