"""Everyday words beside a chemist's: so that "painkiller" also finds what a text calls an analgesic.

Each line of :data:`GROUPS` holds words that stand for one another; :data:`PHRASES` says what a phrase stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

GROUPS = """
painkiller analgesic pain ache
headache migraine
fever antipyretic
inflammation inflammatory swelling antiinflammatory nsaid
antibiotic antibacterial bacteria bacterial bactericidal
fungus fungal antifungal fungicide mould mold mildew
virus viral antiviral
worm anthelmintic parasite parasitic
malaria antimalarial
cancer tumour tumor antineoplastic chemotherapy anticancer leukaemia
allergy antihistamine histamine hayfever
sleep sedative hypnotic insomnia sleeping
anxiety anxiolytic calming tranquilliser tranquilizer
depression antidepressant mood
schizophrenia antipsychotic psychosis
seizure epilepsy anticonvulsant antiepileptic
stimulant stimulating alertness awake
hypertension antihypertensive
diabetes antidiabetic diabetic
cholesterol statin
heartburn antacid ulcer
nausea vomiting antiemetic
cough antitussive
asthma bronchodilator
clot anticoagulant thrombosis thinner antithrombotic
anaesthetic anesthetic numbing numb anaesthesia anesthesia
poison poisonous toxic toxin venom deadly lethal
drug medicine medication pharmaceutical
narcotic opioid opiate
hallucinogen psychedelic hallucinogenic
smell scent odour odor fragrance aroma smelling perfume
taste flavour flavor
sweet sweetener sugar sweetening
sour acidic tart
bitter bitterness
spicy pungent hot chilli chili
colour color dye pigment coloured colored
sunburn sunscreen ultraviolet
insect insecticide bug pest
weed herbicide weedkiller
rat rodent rodenticide
mosquito repellent
preservative preserve spoilage
antiseptic disinfectant sterilise sterilize
explosive explosion detonate
plastic polymer monomer
fuel petrol gasoline
antifreeze coolant
soap detergent surfactant
fat lipid fatty oil
fizzy carbonated
hormone endocrine
oestrogen estrogen
testosterone androgen
contraceptive contraception
pregnancy pregnant
stress cortisol
neurotransmitter neurotransmitters nerve
brain neural
muscle muscular
bone skeletal
blood haem heme
liver hepatic
kidney renal
heart cardiac cardiovascular
skin topical dermal
eye ocular
hair scalp
vitamin vitamins
sulphur sulfur
aluminium aluminum
caesium cesium
""".strip()

PHRASES = {
    "blood pressure": "hypertension antihypertensive",
    "high blood pressure": "hypertension antihypertensive",
    "blood thinner": "anticoagulant",
    "blood sugar": "glucose diabetes antidiabetic insulin",
    "heart attack": "cardiovascular thrombosis",
    "heart rate": "cardiac beta blocker",
    "stomach acid": "proton pump antacid ulcer",
    "weed killer": "herbicide",
    "bug spray": "insecticide repellent",
    "rat poison": "rodenticide",
    "nail polish remover": "acetone solvent",
    "laughing gas": "nitrous anaesthetic",
    "birth control": "contraceptive progestin",
    "sleeping pill": "hypnotic sedative insomnia",
    "hay fever": "antihistamine allergy",
    "sun cream": "sunscreen ultraviolet",
    "mood swing": "bipolar",
    "love hormone": "oxytocin",
    "stress hormone": "cortisol adrenaline",
    "sex hormone": "testosterone estradiol progesterone",
    "building block": "monomer precursor",
    "food colouring": "dye",
    "food coloring": "dye",
    "rotten egg": "sulfide sulfur",
    "bad breath": "sulfur thiol",
    "muscle relaxant": "spasm",
    "date rape": "sedative",
    "rocket fuel": "propellant hydrazine",
    "dry cleaning": "chlorinated solvent",
    "fruit sugar": "fructose",
    "milk sugar": "lactose",
    "table sugar": "sucrose",
    "blood group": "antigen",
    "energy currency": "atp triphosphate",
    "genetic code": "nucleobase dna",
}


@cache
def related(stem: Callable[[str], str]) -> dict[str, frozenset[str]]:
    """For each stem of :data:`GROUPS` the stems of the other words of its groups."""
    found: dict[str, set[str]] = {}
    for line in GROUPS.splitlines():
        stems = {stem(word) for word in line.split()}
        for each in stems:
            found.setdefault(each, set()).update(stems - {each})
    return {each: frozenset(others) for each, others in found.items()}


@cache
def phrases(stem: Callable[[str], str]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """:data:`PHRASES` as stems, the longest first."""
    made = [
        (tuple(stem(word) for word in phrase.split()), tuple(stem(word) for word in means.split()))
        for phrase, means in PHRASES.items()
    ]
    return tuple(sorted(made, key=lambda pair: -len(pair[0])))
