"""Equal components of a design: built once, instantiated as often as they occur.

Amaranth elaborates and writes every component of a design anew, though thousands of them may be
alike. Here a component is what its class and the arguments of its constructor say: all that agree
in both are instances of one module. One that has a ``module_name`` is a module of that name,
even if it occurs once. Nothing outside may refer to signals of a component that are
no ports of it. The clock domain comes in as ports of the module, too: ``clk``, and if it has
registers with a reset ``rst``; ``sync_enable`` and ``sync_reset`` for what an ``EnableInserter``
and a ``ResetInserter`` around the component say.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    Elaboratable,
    EnableInserter,
    Instance,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
    ValueCastable,
)
from amaranth.hdl._ast import Switch
from amaranth.hdl._ir import Fragment, PortDirection
from amaranth.hdl._xfrm import DomainCollector, FragmentTransformer, LHSMaskCollector
from amaranth.lib import data, wiring

from hw.component_ports import Ports, component_ports

DOMAIN = "sync"
"""The clock domain of components that can be shared; any other, and they are not."""

_INSERTERS = {"enable": EnableInserter, "reset": ResetInserter}
_Key = tuple[Any, ...]
_Controls = list[tuple[str, Value]]


@dataclasses.dataclass(eq=False)
class SharedModule:
    """A module; of all but the top one there are several instances.

    Attributes:
        name: path of the first of its instances.
        component: what it is made of; None for the top module.
        fragment: what is in it; other such modules are instances.
        ports: all of them, but for outputs that are read nowhere.
        signals: all that it names, by ``id()``.
    """

    name: str
    component: Any
    fragment: Fragment
    ports: Ports
    signals: dict[int, Signal] = dataclasses.field(default_factory=dict)
    sites: list[_Site] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Site:
    """An instance of a module in another one; its outputs are connected last."""

    instance: Instance
    component: Any
    module: SharedModule


@dataclasses.dataclass
class _Definition:
    """The first of equal components, elaborated, with places where there are others in it.

    Attributes:
        clocked: it has a clock domain.
        resets: a reset changes something in it.
        places: where it occurs, all occurrences of what is around it counted once.
    """

    component: Any
    fragment: Fragment
    clocked: bool
    resets: bool
    places: int = 0


class _Place:
    """Where a component stands: the origin of a fragment, which transformations of it keep."""

    def __init__(self, component: Any, key: _Key) -> None:
        self.component = component
        self.key = key


class _Watch:
    """What is known of components while a design is elaborated.

    Attributes:
        definitions: of all components that might be shared, by class and arguments.
    """

    def __init__(self) -> None:
        self._keys: dict[int, tuple[Any, _Key]] = {}  # by id(), with the component kept alive
        self._signatures: dict[type[Any], inspect.Signature] = {}
        self.definitions: dict[_Key, _Definition] = {}

    def elaborate(self, top: Any) -> Fragment:
        """The design, with places instead of components."""
        self._get: Callable[[Any, Any], Fragment] = Fragment.get
        self._new: Any = Elaboratable.__new__
        with (
            mock.patch.object(Elaboratable, "__new__", self._note),
            mock.patch.object(Fragment, "get", self._place),
        ):
            return self._get(top, None)

    def _note(self, cls: type[Any], *args: Any, src_loc_at: int = 0, **kwargs: Any) -> Any:
        component = self._new(cls, *args, src_loc_at=src_loc_at + 1, **kwargs)
        component._MustUse__used = True  # of equal ones only one is elaborated
        with contextlib.suppress(TypeError):
            # A default that is said is the same as one that is not.
            if cls not in self._signatures:
                self._signatures[cls] = inspect.signature(cls)
            said = self._signatures[cls].bind(*args, **kwargs)
            said.apply_defaults()
            named = sorted(said.arguments.items())
            key = (cls, *((name, _frozen(value)) for name, value in named))
            self._keys[id(component)] = component, key
        return component

    def _place(self, component: Any, platform: Any) -> Fragment:
        key = self._keys.get(id(component), (None, None))[1]
        # What has no ports, as Amaranth's memories, is connected in ways of its own.
        if key is None or not component_ports(component):
            return self._get(component, platform)
        if key not in self.definitions:
            fragment = self._get(component, platform)
            domains = DomainCollector()
            domains(fragment)
            if domains.defined_domains or domains.used_domains - {DOMAIN}:
                return fragment
            self.definitions[key] = _Definition(
                component, fragment, bool(domains.used_domains), _resets(fragment)
            )
        definition = self.definitions[key]
        definition.places += 1
        place = Fragment()
        place.origins = (_Place(component, key),)
        if definition.clocked:
            place.add_statements(DOMAIN, Signal(reset_less=not definition.resets).eq(0))
        return place


def _frozen(value: Any) -> Any:
    """Equal for equal arguments; a TypeError if that cannot be told."""
    if isinstance(value, data.Layout):
        return type(value), repr(value)
    if type(value) in (tuple, dict):  # what *args and **kwargs have taken
        items = value if isinstance(value, tuple) else sorted(value.items())
        return type(value), tuple(map(_frozen, items))
    hash(value)
    return type(value), value


def _resets(fragment: Fragment) -> bool:
    driven = LHSMaskCollector()
    driven.visit_stmt(fragment.statements.get(DOMAIN, ()))
    return any(not signal.reset_less for signal, _ in driven.masks()) or any(
        _resets(inner) for inner, _, _ in fragment.subfragments
    )


def _controls(place: Fragment) -> tuple[str, _Controls]:
    """The clock domain of a place and what has been inserted around it, innermost first."""
    ((domain, statements),) = place.statements.items()
    found: _Controls = []
    while True:
        *before, last = statements
        if before:  # a reset overrides what stands before it
            found.append(("reset", last.test))
            statements = before
        elif isinstance(last, Switch):  # an enable is around all
            found.append(("enable", last.test))
            ((_, statements, _),) = last.cases
        else:
            return domain, found[::-1]


def _insert(fragment: Fragment, domain: str, controls: _Controls) -> Fragment:
    """A copy under another domain and under controls."""
    fragment = DomainRenamer(domain)(fragment) if domain != DOMAIN else _copy(fragment)
    for kind, value in controls:
        fragment = _INSERTERS[kind]({domain: value})(fragment)
    return fragment


def _copy(fragment: Fragment) -> Fragment:
    return FragmentTransformer()(fragment)


class _SignalCollector(DomainCollector):
    """All signals that a fragment names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Signal] = {}

    def on_Signal(self, value: Signal) -> None:  # noqa: N802 (Amaranth's name)
        self.found[id(value)] = value


class _Instances:
    """Puts instances, or the components themselves, in the places of a design.

    Attributes:
        finished: the modules, each after those that are instantiated in it.
    """

    def __init__(self, definitions: dict[_Key, _Definition], reset_less: bool) -> None:
        self._definitions = definitions
        self._reset_less = reset_less
        self._modules: dict[tuple[_Key, tuple[str, ...]], SharedModule] = {}
        self.finished: list[SharedModule] = []

    def fill(self, module: SharedModule) -> None:
        """Fill the places in a module, and in those that this needs."""
        self._resolve(module, module.fragment, module.name)
        collector = _SignalCollector()
        collector(module.fragment)
        for value, _ in module.ports.values():
            collector.on_value(value)
        module.signals = collector.found
        self.finished.append(module)

    def connect_outputs(self) -> None:
        """Make ports of all outputs that are read."""
        read: dict[SharedModule, set[str]] = defaultdict(set)
        for outer in self.finished:
            for site in outer.sites:
                for name, (value, way) in component_ports(site.component).items():
                    if way is PortDirection.Output and id(value) in outer.signals:
                        read[site.module].add(name)
        for outer in self.finished:
            for site in outer.sites:
                ports = component_ports(site.component)
                site.instance.ports |= {
                    name: (value, "o")
                    for name, (value, _) in ports.items()
                    if name in read[site.module]
                }
        for module, names in read.items():
            module.ports = {
                name: (value, way)
                for name, (value, way) in module.ports.items()
                if way is PortDirection.Input or name in names
            }

    def _resolve(self, module: SharedModule, fragment: Fragment, path: str) -> None:
        for index, (inner, name, src_loc) in enumerate(fragment.subfragments):
            below = f"{path}.{f'U${index}' if name is None else name}"
            place = next((o for o in inner.origins or () if isinstance(o, _Place)), None)
            if place is not None:
                inner = self._substitute(module, place, inner, below)
                fragment.subfragments[index] = inner, name, src_loc
            self._resolve(module, inner, below)

    def _substitute(
        self, outer: SharedModule, place: _Place, fragment: Fragment, path: str
    ) -> Fragment:
        definition = self._definitions[place.key]
        domain, controls = _controls(fragment) if definition.clocked else (DOMAIN, [])
        if definition.places == 1 and not hasattr(place.component, "module_name"):
            return _insert(definition.fragment, domain, controls)
        if not definition.resets:
            controls = [control for control in controls if control[0] != "reset"]
        names = _control_names(kind for kind, _ in controls)
        module = self._module(place.key, names, getattr(place.component, "module_name", path))
        around: dict[str, Value] = {"clk": ClockSignal(domain), "rst": ResetSignal(domain)}
        around |= dict(zip(names, (value for _, value in controls), strict=True))
        own = component_ports(place.component)
        instance = Instance(
            module.name,
            *(
                ("i", name, around[name] if name in around else own[name][0])
                for name, (_, way) in module.ports.items()
                if way is PortDirection.Input
            ),
        )
        outer.sites.append(_Site(instance, place.component, module))
        return instance

    def _module(self, key: _Key, names: dict[str, str], path: str) -> SharedModule:
        if (key, (*names,)) in self._modules:
            return self._modules[key, (*names,)]
        definition = self._definitions[key]
        inputs: dict[str, Value] = {name: Signal(name=name) for name in names}
        fragment = _insert(
            definition.fragment, DOMAIN, [(kind, inputs[name]) for name, kind in names.items()]
        )
        if definition.clocked:
            domain = ClockDomain(DOMAIN, reset_less=self._reset_less or not definition.resets)
            fragment.add_domains(domain)
            inputs["clk"] = domain.clk
            if domain.rst is not None:
                inputs["rst"] = domain.rst
        own = component_ports(definition.component)
        for name in own.keys() & inputs.keys():
            raise ValueError(f"the port {name} of {path} has the name of one of the clock domain")
        ports = {name: (value, PortDirection.Input) for name, value in inputs.items()}
        self._modules[key, (*names,)] = module = SharedModule(
            path, definition.component, fragment, {**ports, **own}
        )
        self.fill(module)
        return module


def _control_names(kinds: Iterable[str]) -> dict[str, str]:
    """Names of ports for controls, with their kinds."""
    names: dict[str, str] = {}
    for kind in kinds:
        name = f"{DOMAIN}_{kind}"
        while name in names:
            name += "_outer"
        names[name] = kind
    return names


def share(top: Any, name: str, ports: Ports) -> list[SharedModule]:
    """Elaborate a design.

    Args:
        top: what Amaranth can elaborate.
        name: of it.
        ports: of it.

    Returns:
        The design itself and the modules that there are instances of, each before those inside it.

    Raises:
        ValueError: a component has a port with the name of one of its clock domain, or something
            refers to a signal of a component that is not a port of it.
    """
    watch = _Watch()
    whole = SharedModule(name, None, watch.elaborate(top), ports)
    domain = whole.fragment.domains.get(DOMAIN)
    instances = _Instances(watch.definitions, domain is not None and domain.rst is None)
    instances.fill(whole)
    _check_borders(instances.finished)
    instances.connect_outputs()
    return instances.finished[::-1]


def _attributes(value: Any) -> Iterator[Signal]:
    """The signals in an attribute of a component."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _attributes(part)
    elif isinstance(value, dict):
        yield from _attributes([*value.values()])
    elif isinstance(value, wiring.PureInterface):
        yield from _attributes(vars(value))
    elif isinstance(value, Value | ValueCastable):
        collector = _SignalCollector()
        collector.on_value(Value.cast(value))
        yield from collector.found.values()


def _check_borders(modules: list[SharedModule]) -> None:
    """What a component has inside nobody else may name; of most there is no inside."""
    for site in (site for module in modules for site in module.sites):
        if site.component is site.module.component:
            continue
        ports = {id(value) for value, _ in component_ports(site.component).values()}
        for signal in _attributes(vars(site.component)):
            for module in modules:
                if id(signal) not in ports and id(signal) in module.signals:
                    raise _inside(signal, site.module, module)
    owners: dict[int, SharedModule] = {}
    for module in modules:
        ports = {id(value) for value, _ in module.ports.values()}
        for key in module.signals.keys() - ports:
            owner = owners.setdefault(key, module)
            # The same component under other controls is another module.
            if owner.component is not module.component:
                raise _inside(module.signals[key], owner, module)


def _inside(signal: Signal, owner: SharedModule, user: SharedModule) -> ValueError:
    return ValueError(f"{signal.name} of {owner.name} is used in {user.name}, but is no port")
