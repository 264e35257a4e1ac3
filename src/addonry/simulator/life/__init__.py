"""What makes simulated objects live: controllers, a scheduler and kubelets in one process, one module each.

A controller says which objects a change concerns (`keys`) and brings one of them a step further (`reconcile`); it is
called again whenever something it cares about changes or a time it asked for has come, never otherwise, so a cluster
where nothing happens costs no CPU. To add one, write a class with these two methods and name it in
`controllers.start_life`.
"""
