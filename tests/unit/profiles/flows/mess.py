"""A bank's transactions as its core system keeps them, without types, and what they really are.

The texts are of another hand than the taxonomy's examples: a short remark of the core system, or a
wallet's line with the shop in it; cut at 20 characters, full width, in pinyin, with numbers behind;
wallets as counterparty; wages by way of an agency; a tenth says nothing. What comes monthly has one
payer or payee, one usual day and about one amount, as in life: wages are paid early before the
Spring Festival, by an agency from some month on, or by a new employer; bills go by wallet or by
direct debit, of one size or with the season. A quarter of wages and an eighth of bills stop.

Texts at even places are those that the taxonomy's words were chosen by, those at odd places were
kept aside.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["Mess", "make"]

WALLETS = ("支付宝（中国）网络技术有限公司", "财付通支付科技有限公司")
SAYS_NOTHING = (
    "", "TRN", "财付通", "支付宝", "备注", "网银互联", "0000", "其他", "A0921", "批量", "CPS", "往",
)  # fmt: skip
IN = {
    "C.bonus": ["年终奖金 批量代发", "绩效奖励发放", "2025年度奖金", "季度绩效奖金入账"],
    "C.pension": ["养老金发放", "基本养老金 批量", "退休养老金 社保局", "机关养老金代发"],
    "C.interest": ["活期结息", "个人活期结息", "存款利息", "季度结息入账"],
    "C.housing_fund_drawn": [
        "公积金支取", "住房公积金租房提取", "公积金约定提取", "公积金还贷提取入账",
    ],
    "C.medical_refund": ["医保零星报销", "职工医保返款", "门诊医保报销", "医保个账返还"],
    "C.tax_refund": ["个人所得税退税", "国库退税 个税", "税务局个税汇算退税", "汇算清缴退税"],
    "C.insurance_claim": ["保险理赔款", "车险赔付", "人身险理赔金", "理赔给付"],
    "C.purchase_refund": [
        "支付宝退款-淘宝", "微信支付退款", "商户退款 京东", "财付通-退款", "消费退款", "退货退款",
    ],
    "C.wealth_redeemed": ["理财赎回", "理财产品到期兑付", "理财产品赎回入账", "理财到期本息入账"],
    "C.fund_redeemed": ["基金赎回款", "货币基金赎回", "基金赎回到账", "基金快速赎回"],
    "C.deposit_matured": ["定期到期转存活期", "整存整取到期", "定期销户本息", "存单到期支取"],
    "C.loan_drawn": ["个人消费贷款放款", "贷款发放 快e贷", "贷款放款入账", "放款 信用贷"],
    "C.wallet_in": ["微信零钱提现", "支付宝余额提现", "财付通-零钱提现", "支付宝提现到卡"],
    "C.gift_received": ["微信红包", "转账 过年红包", "支付宝红包提取", "随礼红包"],
    "C.cash_in": ["ATM存款", "柜面现金存款", "CDM现金存入", "自助现存"],
    "C.rent_received": ["房租", "收房租 3单元", "转账-房屋租金", "商铺租金收入"],
    "C.transfer_in": [
        "跨行转入", "手机银行转账", "网银转账 来账", "超级网银转入", "跨行来账", "他行转入",
    ],
    "C.cashback": ["信用卡返现", "银联活动返现", "立减返现", "刷卡金返现"],
}  # fmt: skip
OUT = {
    "C.groceries": [
        "支付宝-盒马鲜生", "财付通-钱大妈生鲜", "POS消费 华润万家超市", "财付通-好又多超市",
        "消费 美宜佳便利店", "支付宝-叮咚生鲜", "POS消费 百果园水果", "银联消费 天虹超市",
    ],
    "C.dining": [
        "财付通-兰州拉面馆", "支付宝-饿了么外卖", "POS消费 海底捞火锅", "财付通-沙县小吃",
        "支付宝-古茗奶茶", "消费 老王烧烤店", "财付通-美团外卖", "快捷支付 西贝餐饮",
    ],
    "C.taxi": [
        "支付宝-滴滴出行", "财付通-曹操出行", "快捷支付 高德打车", "财付通-花小猪打车",
        "支付宝-首汽约车", "滴滴快车 财付通",
    ],
    "C.public_transport": [
        "支付宝-12306铁路", "财付通-地铁乘车码", "公交乘车 支付宝", "铁路客票 网购", "深圳地铁",
        "羊城通公交充值",
    ],
    "C.fuel": [
        "POS消费 中石化加油站", "中国石油加油卡充值", "财付通-壳牌加油", "支付宝-中油加油",
        "特来电充电 支付宝", "星星充电桩 财付通",
    ],
    "C.parking_toll": [
        "ETC通行费", "ETC扣款 高速", "停车费 捷停车", "财付通-停车缴费", "粤通卡ETC 代扣",
        "高速通行费扣款",
    ],
    "C.telecom": [
        "话费充值 移动", "代扣电信宽带", "财付通-手机话费", "中国移动 自动缴费", "联通话费代扣",
        "支付宝-手机充值",
    ],
    "C.utilities": [
        "代扣水费", "国网电费代扣", "水电费 批扣", "燃气费 代扣", "自来水公司代扣",
        "电费 支付宝缴费",
    ],
    "C.property_fee": ["物业费", "万科物业 代扣", "物业管理费 一季度", "小区物业费"],
    "C.mortgage": ["住房贷款扣款", "个人住房贷款还款", "房贷还款", "按揭还款 批扣"],
    "C.loan_repaid": ["贷款还款 批扣", "消费贷还款", "个人贷款扣款", "贷款归还"],
    "C.card_repaid": ["信用卡自动还款", "信用卡还款 网银", "本行信用卡还款", "还信用卡"],
    "C.platform_debt": ["支付宝-花呗还款", "京东白条还款", "花呗自动还款", "美团月付还款"],
    "C.insurance": ["代扣保险费", "平安人寿续期保费", "保费扣款", "车险保费 人保"],
    "C.social_insurance": ["社保代扣", "城乡居民医保缴费", "灵活就业社保费", "社保费 税务"],
    "C.housing_fund_paid": ["公积金缴存", "个人公积金缴费", "公积金扣款", "灵活就业公积金"],
    "C.fee": ["短信服务费", "跨行手续费", "账户管理费", "卡年费"],
    "C.wealth_bought": ["理财申购", "购买理财产品", "理财产品扣款", "理财认购 周周盈"],
    "C.fund_bought": ["基金申购", "基金定投扣款", "基金认购", "购买基金 天弘"],
    "C.deposit_made": ["活期转定期", "定期存款转入", "转存定期", "整存整取开户"],
    "C.securities_out": ["银证转账", "银转证 中信", "银行转证券", "银证转出"],
    "C.wallet_out": ["微信零钱充值", "支付宝余额充值", "零钱通转入", "财付通-零钱充值"],
    "C.wealth_elsewhere": ["支付宝-余额宝转入", "理财通 财付通", "蚂蚁财富 基金", "天天基金充值"],
    "C.cash_out": ["ATM取款", "柜面现金支取", "ATM跨行取现", "自助取款"],
    "C.education": ["学费 财政代收", "培训费", "支付宝-新东方课程", "幼小培训 财付通"],
    "C.health": ["支付宝-市人民医院", "门诊缴费", "医院挂号 财付通", "体检中心 POS消费"],
    "C.pharmacy": ["医保卡消费 大药房", "支付宝-益丰药房", "财付通-海王药店", "消费 大药房"],
    "C.online_shopping": [
        "支付宝-淘宝", "财付通-京东商城", "财付通-拼多多平台商户", "支付宝-天猫超级店",
        "快捷支付 唯品会", "京东支付 网购",
    ],
    "C.entertainment": ["财付通-万达影城", "支付宝-猫眼电影", "大麦演出票", "电影票 财付通"],
    "C.subscription": ["爱奇艺自动续费", "支付宝-腾讯视频会员", "音乐会员连续包月", "视频会员续费"],
    "C.fine": ["交通违法罚款", "交警罚款 12123", "违章罚款", "罚款缴纳"],
    "C.gift_given": ["微信红包", "转账 份子钱", "发红包", "礼金"],
    "C.rent_paid": ["房租", "自如房租", "转账 房租押一付三", "租房租金"],
    "C.card_purchase": ["POS消费", "银联消费", "扫码支付消费", "快捷支付"],
    "C.transfer_out": ["跨行转账", "手机银行转账", "网银跨行汇款", "转账汇款", "汇出", "网银转出"],
}  # fmt: skip
PINYIN = {
    "代发工资": "DAIFAGONGZI", "工资": "GONGZI", "房租": "FANGZU", "退款": "TUIKUAN",
    "话费充值 移动": "HUAFEI YIDONG", "活期结息": "HUOQI JIEXI", "ATM取款": "ATM QUKUAN",
}  # fmt: skip
SAID_OF_WAGES = ("代发工资", "工资", "批量代发 薪资", "薪酬发放", "代发工资款", "月薪")
AGENCY = ("锐仕方达人力资源有限公司", "外服人力资源管理有限公司", "中智劳务派遣有限公司")
ELSEWHERE = ("C.wealth_elsewhere", "C.securities_out", "C.wallet_out", "C.own_elsewhere_out")
MONTHLY = (
    "C.pension", "C.rent_received", "C.telecom", "C.utilities", "C.property_fee", "C.mortgage",
    "C.loan_repaid", "C.rent_paid", "C.subscription",
)  # fmt: skip
_BEGIN, _MONTHS, DAYS = dt.date(2025, 1, 1), 12, 15


@dataclass(frozen=True, kw_only=True)
class Mess:
    """`rows` and `accounts` for `Flows.of`, and the truth: types, leaks and breaks."""

    rows: pa.Table
    accounts: pa.Table
    types: pa.Table
    leaks: set[tuple[str, str]]
    breaks: set[tuple[str, int]]


def make(persons: int = 240, seed: int = 22, odd: bool = True) -> Mess:
    """The transactions of a year of so many persons; texts at odd places, or those at even ones."""
    rng = np.random.default_rng(seed)
    made: list[dict[str, Any]] = []
    stopped: set[tuple[str, int]] = set()
    for person in range(persons):
        _wages(rng, made, stopped, person, odd)
        for code in rng.choice(MONTHLY, 4, replace=False):
            _bills(rng, made, stopped, person, str(code), odd)
        for table, sign in ((IN, 1), (OUT, -1)):
            codes = [code for code in table if code not in MONTHLY]
            for code in rng.choice(codes, 10 if sign > 0 else 45):
                text = str(rng.choice(table[code][int(odd) :: 2]))
                _row(rng, made, person, code, text, sign, _day(rng), odd)
        for _ in range(7):
            sign = 1 if rng.random() < 0.3 else -1
            _row(rng, made, person, "", str(rng.choice(SAYS_NOTHING)), sign, _day(rng), odd)
    order = sorted(range(len(made)), key=lambda i: (made[i]["time"], made[i]["amount"] < 0, i))
    for place, i in enumerate(order):
        made[i]["id"] = f"t{place:07d}"
    names = ("id", "account", "time", "amount", "counterparty_name", "counterparty_account", "text")
    everyone = [str(p) for p in range(persons)]
    accounts = {"account": [f"6222{p:0>6}" for p in everyone], "entity": everyone}
    names_of = [f"客户{p}" for p in everyone]
    return Mess(
        rows=pa.table({name: [row[name] for row in made] for name in names}),
        accounts=pa.table({**accounts, "kind": ["C"] * persons, "name": names_of}),
        types=pa.table({"id": [r["id"] for r in made], "type": [r["type"] for r in made]}),
        leaks=_leaks([made[i] for i in order]),
        breaks=stopped,
    )


def _wages(
    rng: np.random.Generator, made: list[dict[str, Any]], stopped: set[tuple[str, int]],
    person: int, odd: bool,
) -> None:  # fmt: skip
    """Monthly wages by an employer or an agency; those of a quarter stop."""
    agency, employer = str(AGENCY[person % 3]), f"甲乙{person % 40}制造有限公司"
    payer = agency if person % 5 == 0 else employer
    last = int(rng.integers(5, 10)) if rng.random() < 0.25 else _MONTHS
    if last < _MONTHS:
        stopped.add((str(person), 2025 * 12 + last))
    # from this month on an agency pays, or a new employer, and nothing stopped
    moves = int(rng.integers(4, 9)) if last == _MONTHS and person % 5 in (1, 2) else _MONTHS
    size = int(rng.integers(5000, 20000))
    for month in range(last):
        said = SAID_OF_WAGES[int(odd) :: 2]
        # an agency's remark now and then does not say that it is wages
        text = "代付款" if payer == agency and rng.random() < 0.3 else str(rng.choice(said))
        day = dt.date(2025, month + 1, int(rng.integers(9, 12)))
        if month == 1:  # before the Spring Festival, which was on 29 January
            day = dt.date(2025, 1, int(rng.integers(24, 28)))
        if month == moves:
            payer = agency if person % 5 == 1 else f"丙丁{person % 30}科技股份有限公司"
        paid = round(size * float(rng.uniform(0.95, 1.05)), 2)
        _row(rng, made, person, "C.salary", text, 1, day, odd, paid, _named(rng, payer))
        if month % 3 == 2 and person % 3 == 0:
            bonus = str(rng.choice(IN["C.bonus"][int(odd) :: 2]))
            later = day + dt.timedelta(days=int(rng.integers(2, 12)))
            _row(rng, made, person, "C.bonus", bonus, 1, later, odd, size // 3, _named(rng, payer))
        if rng.random() < 0.4:  # and a part of it leaves
            code = str(rng.choice(ELSEWHERE))
            words = OUT.get(code, ["转账"])
            text = str(rng.choice(words[int(odd) :: 2] or words))
            later = day + dt.timedelta(days=int(rng.integers(1, 20)))
            name = f"客户{person}" if code == "C.own_elsewhere_out" else ""
            if later < dt.date(2026, 1, 1):
                _row(rng, made, person, code, text, -1, later, odd, size // 3, name)


def _bills(
    rng: np.random.Generator, made: list[dict[str, Any]], stopped: set[tuple[str, int]],
    person: int, code: str, odd: bool,
) -> None:  # fmt: skip
    """One payee's bill every month, or one payer's transfer; an eighth stops."""
    table, sign = (IN, 1) if code in IN else (OUT, -1)
    text, first = str(rng.choice(table[code][int(odd) :: 2])), int(rng.integers(4, 25))
    last = int(rng.integers(5, 10)) if rng.random() < 0.125 else _MONTHS
    if last < _MONTHS:
        stopped.add((str(person), 2025 * 12 + last))
    # the seasons, and how much one telephones, change what these cost
    spread = 0.4 if code in ("C.telecom", "C.utilities") else 0.01
    size, name = int(rng.integers(60, 4000)), ""
    if rng.random() < 0.5 and not any(mark in text for mark in ("支付宝", "财付通", "微信")):
        name = f"戊己{rng.integers(0, 500)}服务有限责任公司"
    for month in range(last):
        if rng.random() < 0.1 and text in PINYIN:
            said = PINYIN[text]
        elif rng.random() < 0.05:  # now and then its line says nothing
            said = str(rng.choice(SAYS_NOTHING))
        else:
            said = text
        day = dt.date(2025, month + 1, first + int(rng.integers(-2, 3)))
        paid = round(size * float(rng.uniform(1 - spread, 1 + spread)), 2)
        _row(rng, made, person, code, said, sign, day, odd, paid, _named(rng, name))


def _named(rng: np.random.Generator, name: str) -> str:
    """A counterparty's name as another bank sent it: cut, in full width, without its form."""
    draw = rng.random()
    if draw < 0.1:
        return name[:10]
    if draw < 0.2:
        return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)
    return name.removesuffix("有限公司") if draw < 0.25 else name


def _row(
    rng: np.random.Generator, made: list[dict[str, Any]], person: int, code: str, text: str,
    sign: int, day: dt.date, odd: bool, amount: float = 0, name: str = "",
) -> None:  # fmt: skip
    wallet = any(mark in text for mark in ("支付宝", "财付通", "微信"))
    if not name:
        name = WALLETS[0 if "支付宝" in text else 1] if wallet else ""
    size = amount or round(float(np.exp(rng.normal(5, 1))) + 1, 2)
    made.append({
        "account": f"6222{person:0>6}", "person": str(person), "time": day.isoformat(),
        "amount": float(sign * size), "counterparty_name": name, "counterparty_account": "",
        "text": _messy(rng, text) if code else text,
        "type": "" if text in SAYS_NOTHING else code,
    })  # fmt: skip


def _day(rng: np.random.Generator) -> dt.date:
    return _BEGIN + dt.timedelta(days=int(rng.integers(0, 365)))


def _messy(rng: np.random.Generator, text: str) -> str:
    """The text as a core system keeps it."""
    draw = rng.random()
    if draw < 0.1 and text in PINYIN:
        text = PINYIN[text]
    elif draw < 0.25:
        text = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    elif draw < 0.45:
        text = f"{text}{rng.integers(10**5, 10**8)}"
    elif draw < 0.6:
        text = f"{rng.integers(1000, 9999)} {text}"
    elif draw < 0.7:
        text = f"{text}（{rng.choice(['南山', '朝阳', '浦东'])}店）" if "-" in text else f"{text}/"
    return text[:20]


def _leaks(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Pairs of inflow and leaking outflow, by a queue of money, within 15 days."""
    queues: dict[str, deque[list[Any]]] = {}
    found = set()
    for row in rows:
        queue = queues.setdefault(row["person"], deque())
        day, left = dt.date.fromisoformat(row["time"]), round(100 * abs(row["amount"]))
        if row["amount"] > 0:
            queue.append([row["id"], day, left])
            continue
        while left and queue:
            first = queue[0]
            took = min(left, first[2])
            left, first[2] = left - took, first[2] - took
            if row["type"] in ELSEWHERE and (day - first[1]).days <= DAYS:
                found.add((first[0], row["id"]))
            if not first[2]:
                queue.popleft()
    return found
