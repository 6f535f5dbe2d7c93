"""Pools and the rights that go with membership."""

from kit import ROOT, holds, one, refused, same, step


@step
def a_pool_has_members(lab):
    root = lab.connect(**ROOT)
    root.pools.post(poolid="shop", comment="web shop")
    root.pools("shop").put(vms="101,102", storage="nas")
    pool = root.pools("shop").get()
    same([member["id"] for member in pool["members"]], ["qemu/101", "qemu/102", "storage/pve1/nas"])
    same(root.pools.get(poolid="shop"), [pool])
    same([member["id"] for member in root.pools("shop").get(type="storage")["members"]], ["storage/pve1/nas"])
    same(one(root.pools.get(), poolid="shop"), {"poolid": "shop", "comment": "web shop"})


@step
def rights_on_the_pool_are_rights_on_its_members(lab):
    root = lab.connect(**ROOT)
    root.access.users.post(userid="shop@pve", password="a-long-password")
    root.access.acl.put(path="/pool/shop", roles="PVEVMUser,PVEPoolUser", users="shop@pve")
    shop = lab.connect(user="shop@pve", password="a-long-password")
    same([vm["vmid"] for vm in shop.cluster.resources.get(type="vm")], [101, 102])
    same([pool["poolid"] for pool in shop.pools.get()], ["shop"])
    root.pools("shop").put(vms=101, delete=1)
    same([vm["vmid"] for vm in shop.cluster.resources.get(type="vm")], [102])
    refused(403, "(/pool/shop, Pool.Allocate)", lambda: shop.pools("shop").put(comment="mine"))


@step
def a_vm_is_in_one_pool(lab):
    root = lab.connect(**ROOT)
    root.pools.post(poolid="other")
    refused(500, "VM 102 belongs already to pool 'shop'", lambda: root.pools("other").put(vms=102))
    root.pools.put(poolid="other", vms=102, **{"allow-move": 1})
    same([member["vmid"] for member in root.pools("other").get()["members"]], [102])


@step
def pools_lie_in_pools(lab):
    root = lab.connect(**ROOT)
    root.pools.post(poolid="other/inner")
    holds("other/inner" in {pool["poolid"] for pool in root.pools.get()}, root.pools.get())
    refused(500, "contains pool 'other/inner'", lambda: root.pools.delete(poolid="other"))
    root.pools.delete(poolid="other/inner")


@step
def a_copy_joins_and_a_destroyed_vm_leaves(lab):
    root = lab.connect(**ROOT)
    lab.done(root.nodes("pve1").qemu(9000).clone.post(newid=310, pool="other"), "qmclone")
    same(one(root.cluster.resources.get(type="vm"), vmid=310)["pool"], "other")
    lab.done(root.nodes("pve1").qemu(310).delete(), "qmdestroy")
    same([member["vmid"] for member in root.pools("other").get()["members"]], [102])
    refused(403, "pool 'none' does not exist", lambda: root.nodes("pve1").qemu(9000).clone.post(newid=311, pool="none"))


@step
def only_an_empty_pool_goes(lab):
    root = lab.connect(**ROOT)
    refused(500, "pool 'other' is not empty (contains VM 102)", root.pools("other").delete)
    root.pools("other").put(vms=102, delete=1)
    root.pools("other").delete()
    refused(500, "pool 'other' does not exist", root.pools("other").get)
